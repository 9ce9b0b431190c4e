{{- define "lkv.scorerContainer" -}}
{{- $scorer := .Values.scorer -}}
- name: scorer
  image: {{ include "lkv.image" (list . $scorer.image) }}
  imagePullPolicy: {{ $scorer.image.pullPolicy }}
  {{- with $scorer.extraArgs }}
  args:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.containerSecurityContext | nindent 4 }}
  env:
    {{- $env := dict
      "SCORER_HOST" "0.0.0.0"
      "SCORER_PORT" 50051
      "SCORER_METRICS_PORT" 9051
      "SCORER_CONFIG_PATH" "/etc/lookaheadkv/scoring.yaml"
      "SCORER_ADAPTER_CACHE_PATH" "/var/lib/lookaheadkv/adapters"
      "SCORER_SHUTDOWN_GRACE_SECONDS" $scorer.drain.graceSeconds
      "SCORER_REFLECTION" .Values.reflection
      "SCORER_LOG_LEVEL" .Values.logLevel
    }}
    {{- include "lkv.env" (merge (dict) $scorer.env $env) | nindent 4 }}
    {{- include "lkv.redisEnv" (list . "SCORER") | nindent 4 }}
    {{- include "lkv.tracingEnv" . | nindent 4 }}
    {{- with $scorer.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - {name: scorer-grpc, containerPort: 50051}
    - {name: scorer-metrics, containerPort: 9051}
  startupProbe:
    {{- include "lkv.grpcProbe" (list 50051 "lookaheadkv.scorer.v1.ScoringConfigService") | nindent 4 }}
    periodSeconds: 2
    failureThreshold: 60
    timeoutSeconds: 5
  readinessProbe:
    {{- include "lkv.grpcProbe" (list 50051 "lookaheadkv.scorer.v1.ScoringConfigService") | nindent 4 }}
    periodSeconds: 5
    timeoutSeconds: 5
  livenessProbe:
    {{- include "lkv.grpcProbe" (list 50051 "") | nindent 4 }}
    periodSeconds: 10
    timeoutSeconds: 10
    failureThreshold: 6
  resources:
    {{- toYaml $scorer.resources | nindent 4 }}
  volumeMounts:
    - {name: adapters, mountPath: /var/lib/lookaheadkv/adapters}
    - {name: scorer-tmp, mountPath: /tmp}
    {{- if $scorer.config }}
    - {name: scoring, mountPath: /etc/lookaheadkv, readOnly: true}
    {{- end }}
    {{- include "lkv.redisCaMount" . | nindent 4 }}
{{- end -}}
