{{- define "lkv.dnsEgress" -}}
- to:
    - namespaceSelector: {}
  ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{- define "lkv.redisEgress" -}}
{{- if include "lkv.redisEmbedded" . }}
- to:
    - podSelector:
        matchLabels:
          {{- include "lkv.selector" (list . "redis") | nindent 10 }}
  ports:
    - {port: 6379}
{{- else if include "lkv.redisExternal" . }}
# a policy knows addresses, and not names: narrow it by extraEgress and a policy of your own
- ports:
    - {port: {{ include "lkv.redisPort" . }}}
{{- end }}
{{- end -}}

{{/* of the external Redis: from its URL where that names one */}}
{{- define "lkv.redisPort" -}}
{{- $external := .Values.redis.external -}}
{{- if $external.url -}}
{{- default "6379" (regexFind "[0-9]+$" (index (splitList "," (regexReplaceAll "/.*$" (regexReplaceAll "^[^/]*//" $external.url "") "")) 0)) -}}
{{- else -}}
{{ $external.port }}
{{- end -}}
{{- end -}}

{{/* (list . port ...) */}}
{{- define "lkv.metricsIngress" -}}
{{- with (index . 0).Values.networkPolicy.metricsClients }}
- from:
    {{- toYaml . | nindent 4 }}
  ports:
    {{- range rest $ }}
    - {port: {{ . }}}
    {{- end }}
{{- end }}
{{- end -}}

{{- define "lkv.moreEgress" -}}
{{- if .Values.tracing.endpoint }}
- ports:
    - {port: {{ default "4317" (regexFind "[0-9]+$" .Values.tracing.endpoint) }}}
{{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
