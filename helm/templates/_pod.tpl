{{/* The program's settings. They are variables and not arguments, so that each argument in `args` wins over them. */}}
{{- define "logstream.env" -}}
{{- $values := .Values -}}
{{- $env := list
  (dict "name" "CODER_URL" "value" $values.url)
  (dict "name" "CODER_NAMESPACES" "value" (include "logstream.namespaces" .))
-}}
{{- with $values.fieldSelector }}{{ $env = append $env (dict "name" "CODER_FIELD_SELECTOR" "value" .) }}{{ end -}}
{{- with $values.labelSelector }}{{ $env = append $env (dict "name" "CODER_LABEL_SELECTOR" "value" .) }}{{ end -}}
{{- with $values.image.sslCertFile }}{{ $env = append $env (dict "name" "SSL_CERT_FILE" "value" .) }}{{ end -}}
{{- with $values.image.sslCertDir }}{{ $env = append $env (dict "name" "SSL_CERT_DIR" "value" .) }}{{ end -}}
{{- $own := dict "fieldRef" (dict "apiVersion" "v1" "fieldPath" "metadata.namespace") -}}
{{- $env = concat $env (list
  (dict "name" "POD_NAMESPACE" "valueFrom" $own)
  (dict "name" "CODER_LOGSTREAM_STATE_NAME" "value" (include "logstream.progressName" .))
  (dict "name" "POD_NAME" "valueFrom" (dict "fieldRef" (dict "apiVersion" "v1" "fieldPath" "metadata.name")))
  (dict "name" "CODER_LOGSTREAM_LEASE_NAME" "value" (include "logstream.leaseName" .))
  (dict "name" "CODER_LOGSTREAM_OWNER_DEPLOYMENT" "value" (include "logstream.fullname" .))
  (dict "name" "CODER_LOGSTREAM_LOG" "value" $values.log.level)
  (dict "name" "CODER_LOGSTREAM_LOG_FORMAT" "value" $values.log.format)
  (dict "name" "CODER_LOGSTREAM_HEALTH_ADDR" "value" (printf ":%v" $values.probes.port))
  (dict "name" "CODER_LOGSTREAM_METRICS_ADDR" "value" (ternary (printf ":%v" $values.metrics.port) "" $values.metrics.enabled))
  (dict "name" "CODER_LOGSTREAM_SHUTDOWN_GRACE" "value" (printf "%vs" $values.shutdownGraceSeconds))
) -}}
{{- if ne $values.lines.minLevel "debug" }}{{ $env = append $env (dict "name" "CODER_LOGSTREAM_MIN_LEVEL" "value" $values.lines.minLevel) }}{{ end -}}
{{- if ne $values.lines.style "fancy" }}{{ $env = append $env (dict "name" "CODER_LOGSTREAM_LOG_STYLE" "value" $values.lines.style) }}{{ end -}}
{{- with $values.lines.skipReasons }}{{ $env = append $env (dict "name" "CODER_LOGSTREAM_SKIP_REASONS" "value" (join "," .)) }}{{ end -}}
{{- if not $values.rbac.nodeEvents }}{{ $env = append $env (dict "name" "CODER_LOGSTREAM_NODE_EVENTS" "value" "false") }}{{ end -}}
{{- if not $values.rbac.readSecrets }}{{ $env = append $env (dict "name" "CODER_LOGSTREAM_RESOLVE_REFERENCES" "value" "false") }}{{ end -}}
{{- if $values.webhook.enabled }}{{ $env = concat $env (include "logstream.webhookEnv" . | fromYamlArray) }}{{ end -}}
{{- $yours := $values.env | default list -}}
{{- $names := list }}{{ range $yours }}{{ $names = append $names .name }}{{ end -}}
{{- $kept := list }}{{ range $env }}{{ if not (has .name $names) }}{{ $kept = append $kept . }}{{ end }}{{ end -}}
{{- concat $kept $yours | toYaml -}}
{{- end -}}

{{- define "logstream.webhookEnv" -}}
{{- $certs := .Values.certs -}}
- name: CODER_LOGSTREAM_WEBHOOK_ADDR
  value: ":{{ .Values.webhook.port }}"
# What the readiness compares with what is served, and in the self-managed mode keeps.
- name: CODER_LOGSTREAM_WEBHOOK_CONFIG_NAME
  value: {{ include "logstream.clusterName" . }}
{{- with include "logstream.webhookHost" . }}
- name: CODER_LOGSTREAM_WEBHOOK_NAMES
  value: {{ . | quote }}
{{- else }}
- name: CODER_LOGSTREAM_WEBHOOK_SERVICE
  value: {{ include "logstream.serviceName" . }}.{{ .Release.Namespace }}
{{- if and (eq $certs.mode "self-managed") (ne .Values.clusterDomain "cluster.local") }}
- name: CODER_LOGSTREAM_WEBHOOK_NAMES
  value: {{ include "logstream.serviceName" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end }}
{{- end }}
{{- if eq $certs.mode "self-managed" }}
- name: CODER_LOGSTREAM_WEBHOOK_CERT_MODE
  value: self-managed
- name: CODER_LOGSTREAM_WEBHOOK_CERT_SECRET
  value: {{ include "logstream.certSecret" . }}
- name: CODER_LOGSTREAM_WEBHOOK_CA_LIFETIME
  value: {{ $certs.caDuration }}
- name: CODER_LOGSTREAM_WEBHOOK_CERT_LIFETIME
  value: {{ $certs.duration }}
{{- else }}
- name: CODER_LOGSTREAM_WEBHOOK_CERT_MODE
  value: mounted
- name: CODER_LOGSTREAM_WEBHOOK_CERT_DIR
  value: /etc/coder-logstream-kube/tls
{{- end }}
{{- if $certs.clientCAConfigMap }}
- name: CODER_LOGSTREAM_WEBHOOK_CLIENT_CA
  value: /etc/coder-logstream-kube/client-ca/ca.crt
{{- end }}
{{- end -}}

{{- define "logstream.mountsCertificate" -}}
{{- if and .Values.webhook.enabled (ne .Values.certs.mode "self-managed") -}}true{{- end -}}
{{- end -}}

{{- define "logstream.mountsClientCA" -}}
{{- if and .Values.webhook.enabled .Values.certs.clientCAConfigMap -}}true{{- end -}}
{{- end -}}

{{- define "logstream.volumeMounts" -}}
{{- if include "logstream.mountsCertificate" . }}
- name: certificate
  mountPath: /etc/coder-logstream-kube/tls
  readOnly: true
{{- end }}
{{- if include "logstream.mountsClientCA" . }}
- name: client-ca
  mountPath: /etc/coder-logstream-kube/client-ca
  readOnly: true
{{- end }}
{{- with .Values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "logstream.volumes" -}}
{{- if include "logstream.mountsCertificate" . }}
- name: certificate
  secret:
    secretName: {{ include "logstream.certSecret" . }}
    # Named, so that the kubelet waits for them: without, the pod would start with an empty folder and see the first certificate a minute later.
    items:
      - key: tls.crt
        path: tls.crt
      - key: tls.key
        path: tls.key
{{- end }}
{{- if include "logstream.mountsClientCA" . }}
- name: client-ca
  configMap:
    name: {{ .Values.certs.clientCAConfigMap }}
    items:
      - key: ca.crt
        path: ca.crt
{{- end }}
{{- with .Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "logstream.podAnnotations" -}}
{{- $annotations := dict -}}
{{- if .Values.metrics.enabled -}}
  {{- $annotations = dict "prometheus.io/scrape" "true" "prometheus.io/port" (toString .Values.metrics.port) "prometheus.io/path" "/metrics" -}}
{{- end -}}
{{- with mergeOverwrite $annotations (.Values.podAnnotations | default dict) }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/* Where none are given, several replicas are spread as far as the nodes allow. */}}
{{- define "logstream.topologySpread" -}}
{{- if kindIs "slice" .Values.topologySpreadConstraints -}}
{{- with .Values.topologySpreadConstraints }}{{ toYaml . }}{{ end -}}
{{- else if gt (int .Values.replicas) 1 -}}
{{- range $index, $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
{{- if $index }}{{ "\n" }}{{ end -}}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "logstream.selectorLabels" $ | nindent 6 }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Defaults in values.yaml would be merged with what is given: a request above our limit is refused. */}}
{{- define "logstream.resources" -}}
{{- if kindIs "map" .Values.resources -}}
{{- with .Values.resources }}{{ toYaml . }}{{ else -}}
limits:
  memory: 256Mi
requests:
  cpu: 20m
  memory: 32Mi
{{- end -}}
{{- end -}}
{{- end -}}
