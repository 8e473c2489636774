{{/* The host of webhook.url; nothing when the Service is called. */}}
{{- define "logstream.webhookHost" -}}
{{- with .Values.webhook.url -}}
{{ . | trimPrefix "https://" | trimSuffix "/" | regexFind "^(\\[[^]]*\\]|[^:]*)" | trimAll "[]" }}
{{- end -}}
{{- end -}}

{{/* "true" where that host is an IP address. */}}
{{- define "logstream.webhookHostIsAddress" -}}
{{- $host := include "logstream.webhookHost" . -}}
{{- if or (contains ":" $host) (regexMatch "^[0-9]+(\\.[0-9]+){3}$" $host) -}}true{{- end -}}
{{- end -}}

{{/* Every name by which the Service can be called. The API server uses the third. */}}
{{- define "logstream.serviceDnsNames" -}}
{{- $name := include "logstream.serviceName" . -}}
- {{ $name }}
- {{ $name }}.{{ .Release.Namespace }}
- {{ $name }}.{{ .Release.Namespace }}.svc
- {{ $name }}.{{ .Release.Namespace }}.svc.cluster.local
{{- end -}}

{{/* Where the API server calls, and whom it trusts. */}}
{{- define "logstream.clientConfig" -}}
{{- if .Values.webhook.url -}}
url: {{ printf "%s/mutate" (trimSuffix "/" .Values.webhook.url) }}
{{- else -}}
service:
  name: {{ include "logstream.serviceName" . }}
  namespace: {{ .Release.Namespace }}
  port: 443
  path: /mutate
{{- end }}
{{- if eq .Values.certs.mode "provided" }}
caBundle: {{ if contains "-----BEGIN" .Values.certs.caBundle }}{{ .Values.certs.caBundle | b64enc }}{{ else }}{{ .Values.certs.caBundle | nospace }}{{ end }}
{{- end }}
{{- end -}}

{{/* Which namespaces: the watched ones where they are named, and the user's limits. All must hold. */}}
{{- define "logstream.namespaceSelector" -}}
{{- $limits := .Values.webhook.namespaceSelector | default dict -}}
{{- with $limits.matchLabels }}
matchLabels: {{- toYaml . | nindent 2 }}
{{- end }}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values: [kube-system]
{{- with include "logstream.namespaces" . }}
  - key: kubernetes.io/metadata.name
    operator: In
    values: {{- splitList "," . | toYaml | nindent 6 }}
{{- end }}
{{- with $limits.matchExpressions }}
{{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Which objects: not our own pods (never our own namespace, as workspaces may live in it), and the user's limits. */}}
{{- define "logstream.objectSelector" -}}
{{- $limits := .Values.webhook.objectSelector | default dict -}}
{{- with $limits.matchLabels }}
matchLabels: {{- toYaml . | nindent 2 }}
{{- end }}
matchExpressions:
  - key: app.kubernetes.io/name
    operator: NotIn
    values: [{{ .Chart.Name }}]
{{- with $limits.matchExpressions }}
{{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The API server calls only for a pod spec with an agent token: in an env entry, or in an envFrom, which only its Secret or ConfigMap can tell. Takes the path of the spec. */}}
{{- define "logstream.carriesToken" -}}
((has({{ . }}.initContainers) ? {{ . }}.initContainers : []) + {{ . }}.containers).exists(c, has(c.envFrom) || (has(c.env) && c.env.exists(e, e.name in ['CODER_AGENT_TOKEN', 'CODER_AGENT_TOKEN_FILE'])))
{{- end -}}

{{- define "logstream.webhook" -}}
admissionReviewVersions: [v1]
clientConfig: {{- include "logstream.clientConfig" .context | nindent 2 }}
failurePolicy: {{ .context.Values.webhook.failurePolicy }}
timeoutSeconds: {{ .context.Values.webhook.timeoutSeconds }}
matchPolicy: Equivalent
# A webhook that comes later may add the container that carries the token.
reinvocationPolicy: IfNeeded
# Dry runs are answered alike and recorded nowhere.
sideEffects: NoneOnDryRun
namespaceSelector: {{- include "logstream.namespaceSelector" .context | trim | nindent 2 }}
objectSelector: {{- include "logstream.objectSelector" .context | trim | nindent 2 }}
matchConditions:
  - name: carries-agent-token
    expression: {{ include "logstream.carriesToken" .spec | quote }}
{{- with .context.Values.webhook.matchConditions }}
{{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
