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
{{- with include "lkv.redisPorts" . }}
- ports:
    {{- . | nindent 4 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* of the external Redis: those of all hosts in its URL */}}
{{- define "lkv.redisPorts" -}}
{{- $external := .Values.redis.external -}}
{{- $ports := list -}}
{{- if $external.url -}}
{{- $sentinel := contains "+sentinel://" $external.url -}}
{{- $hosts := regexFind "^[^/?#]+" (regexReplaceAll "^[^/]*//" $external.url "") -}}
{{- range compact (splitList "," $hosts) -}}
{{- $ports = append $ports (default (ternary "26379" "6379" $sentinel) (trimPrefix ":" (regexFind ":[0-9]+$" .))) -}}
{{- end -}}
{{- /* Sentinel names the master, which listens where a Redis does unless told otherwise */ -}}
{{- if $sentinel -}}
{{- $ports = append $ports "6379" -}}
{{- end -}}
{{- else -}}
{{- $ports = list (toString $external.port) -}}
{{- end -}}
{{- range uniq $ports }}
- {port: {{ . }}}
{{- end }}
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
    - {port: {{ trimPrefix ":" (regexFind ":[0-9]+" (regexReplaceAll "^https?://(\\[[^]]*\\])?" .Values.tracing.endpoint "")) }}}
{{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
