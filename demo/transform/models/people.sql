{# Those of them that AutoReach does not have in this version. #}
{{ singer_http.to_send(
    ref('current_people'), 'people', 'external_id', account=env_var('TARGET_AUTOREACH_CLIENT_ID')
) }}
