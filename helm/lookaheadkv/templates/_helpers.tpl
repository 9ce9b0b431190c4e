{{- define "lkv.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* (list . "router") -> labels that select; they never change with a version */}}
{{- define "lkv.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | trunc 63 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "lkv.labels" -}}
{{- $root := index . 0 -}}
{{ include "lkv.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* (list . "router") -> metadata of a part's manifest */}}
{{- define "lkv.meta" -}}
name: {{ include "lkv.fullname" (index . 0) }}-{{ index . 1 }}
namespace: {{ (index . 0).Release.Namespace }}
labels:
  {{- include "lkv.labels" . | nindent 2 }}
{{- end -}}

{{- define "lkv.image" -}}
{{- $image := index . 1 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default (index . 0).Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- define "lkv.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "lkv.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{/* a dict of names and values -> env, without what is empty */}}
{{- define "lkv.env" -}}
{{- range $name, $value := . }}
{{- if ne (toString $value) "" }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "lkv.secretEnv" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 }}
      key: {{ index . 2 }}
{{- end -}}

{{- define "lkv.redisExternal" -}}
{{- if and .Values.redis.enabled (or .Values.redis.external.url .Values.redis.external.host) -}}true{{- end -}}
{{- end -}}

{{- define "lkv.redisEmbedded" -}}
{{- if and .Values.redis.enabled .Values.redis.embedded.enabled (not (include "lkv.redisExternal" .)) -}}true{{- end -}}
{{- end -}}

{{- define "lkv.redisUrl" -}}
{{- $external := .Values.redis.external -}}
{{- if include "lkv.redisExternal" . -}}
{{- if $external.url -}}
{{ $external.url }}
{{- else -}}
{{ ternary "rediss" "redis" $external.tls }}://{{ $external.host }}:{{ $external.port }}
{{- end -}}
{{- else if include "lkv.redisEmbedded" . -}}
redis://{{ include "lkv.fullname" . }}-redis:6379
{{- end -}}
{{- end -}}

{{- define "lkv.redisSecret" -}}
{{- if include "lkv.redisExternal" . -}}
{{ .Values.redis.external.existingSecret }}
{{- else if include "lkv.redisEmbedded" . -}}
{{ default (printf "%s-redis" (include "lkv.fullname" .)) .Values.redis.embedded.existingSecret }}
{{- end -}}
{{- end -}}

{{/* (list . "ROUTER") -> env of a process that uses Redis */}}
{{- define "lkv.redisEnv" -}}
{{- $root := index . 0 -}}
{{- $prefix := index . 1 -}}
{{- $external := $root.Values.redis.external -}}
{{- with include "lkv.redisUrl" $root }}
- name: {{ $prefix }}_REDIS_URL
  value: {{ . | quote }}
{{- end }}
{{- with include "lkv.redisSecret" $root }}
{{ include "lkv.secretEnv" (list (printf "%s_REDIS_PASSWORD" $prefix) . "password") }}
{{- end }}
{{- if and (include "lkv.redisExternal" $root) $external.username }}
- name: {{ $prefix }}_REDIS_USERNAME
  value: {{ $external.username | quote }}
{{- end }}
{{- if and (include "lkv.redisExternal" $root) $external.caSecret }}
- name: {{ $prefix }}_REDIS_CA_FILE
  value: /etc/redis-ca/ca.crt
{{- end }}
{{- end -}}

{{- define "lkv.tracingEnv" -}}
{{- if .Values.tracing.endpoint }}
{{- include "lkv.env" (dict "OTEL_EXPORTER_OTLP_ENDPOINT" .Values.tracing.endpoint "OTEL_TRACES_SAMPLER" .Values.tracing.sampler "OTEL_TRACES_SAMPLER_ARG" .Values.tracing.samplerArg) }}
{{- end }}
{{- end -}}

{{- define "lkv.redisCaVolume" -}}
{{- if and (include "lkv.redisExternal" .) .Values.redis.external.caSecret }}
- name: redis-ca
  secret:
    secretName: {{ .Values.redis.external.caSecret }}
{{- end }}
{{- end -}}

{{- define "lkv.redisCaMount" -}}
{{- if and (include "lkv.redisExternal" .) .Values.redis.external.caSecret }}
- name: redis-ca
  mountPath: /etc/redis-ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "lkv.modelVolume" -}}
{{- if .Values.model.existingClaim }}
- name: model
  persistentVolumeClaim:
    claimName: {{ .Values.model.existingClaim }}
    readOnly: {{ .Values.model.readOnly }}
{{- else if .Values.model.hostPath }}
- name: model
  hostPath:
    path: {{ .Values.model.hostPath }}
    type: Directory
{{- end }}
{{- end -}}

{{- define "lkv.modelMount" -}}
{{- if or .Values.model.existingClaim .Values.model.hostPath }}
- name: model
  mountPath: {{ .Values.model.mountPath }}
  readOnly: {{ .Values.model.readOnly }}
{{- end }}
{{- end -}}

{{/* (list port "service") -> the inside of a probe */}}
{{- define "lkv.grpcProbe" -}}
grpc:
  port: {{ index . 0 }}
  {{- with index . 1 }}
  service: {{ . }}
  {{- end }}
{{- end -}}

{{/* (list . values "component") -> what both workloads' pods have in common */}}
{{- define "lkv.podCommon" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
{{- with $part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $part.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $part.spread.enabled }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: {{ $part.spread.topologyKey }}
    whenUnsatisfiable: {{ $part.spread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "lkv.selector" (list $root (index . 2)) | nindent 8 }}
{{- end }}
{{- end -}}

{{/* sleep first, so that nobody sends more, then the drain, then a little */}}
{{- define "lkv.grace" -}}
{{ add .preStopSeconds .graceSeconds 10 }}
{{- end -}}
