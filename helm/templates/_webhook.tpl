{{/* The host of webhook.url; empty if the Service is called. */}}
{{- define "logstream.webhookHost" -}}
{{- with .Values.webhook.url -}}
{{ . | trimPrefix "https://" | trimSuffix "/" | regexFind "^(\\[[^]]*\\]|[^:]*)" | trimAll "[]" }}
{{- end -}}
{{- end -}}

{{/* "true" if that host is an IP address. */}}
{{- define "logstream.webhookHostIsAddress" -}}
{{- $host := include "logstream.webhookHost" . -}}
{{- if or (contains ":" $host) (regexMatch "^[0-9]+(\\.[0-9]+){3}$" $host) -}}true{{- end -}}
{{- end -}}

{{/* DNS names of the Service. The API server uses the third. */}}
{{- define "logstream.serviceDnsNames" -}}
{{- $name := include "logstream.serviceName" . -}}
- {{ $name }}
- {{ $name }}.{{ .Release.Namespace }}
- {{ $name }}.{{ .Release.Namespace }}.svc
- {{ $name }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end -}}

{{/* The address that the API server calls, and the CA that it trusts. */}}
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

{{/* Selects the watched namespaces, if they are named, and applies webhook.namespaceSelector. */}}
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

{{/* Converts labelSelector, in the syntax of kubectl, to matchExpressions. These have no operator for > and <, so the webhook selects by the key alone, and the program compares the number. */}}
{{- define "logstream.labelRequirements" -}}
{{- range regexFindAll "[^,(]+(\\([^)]*\\))?" (.Values.labelSelector | default "") -1 -}}
  {{- $text := trim . -}}
  {{- $key := regexFind "[^!=<>\\s]+" $text -}}
  {{- $operator := regexFind "(?:!=|==?|\\s(?:notin|in)\\s*\\()" $text | trimSuffix "(" | trim -}}
  {{- $values := list -}}
  {{- if has $operator (list "in" "notin") -}}
    {{- range regexFind "\\(.*\\)" $text | trimAll "()" | splitList "," }}{{ $values = append $values (trim .) }}{{ end -}}
  {{- else if $operator -}}
    {{- $values = list (regexReplaceAll "^.*=\\s*" $text "") -}}
  {{- end -}}
  {{- $names := dict "in" "In" "=" "In" "==" "In" "notin" "NotIn" "!=" "NotIn" -}}
  {{- $kind := ternary (get $names $operator) (ternary "DoesNotExist" "Exists" (hasPrefix "!" $text)) (ne $operator "") -}}
  {{- if $key }}
- key: {{ $key }}
  operator: {{ $kind }}
  {{- if $operator }}
  values: {{- $values | uniq | toYaml | nindent 4 }}
  {{- end }}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Selects objects: not the program's own pods (but its namespace, which may have workspaces), the pods that labelSelector selects, and webhook.objectSelector. Workloads have other labels than their pods, so the program checks those of the pod template itself. */}}
{{- define "logstream.objectSelector" -}}
{{- $limits := .context.Values.webhook.objectSelector | default dict -}}
{{- with $limits.matchLabels }}
matchLabels: {{- toYaml . | nindent 2 }}
{{- end }}
matchExpressions:
  - key: app.kubernetes.io/name
    operator: NotIn
    values: [{{ include "logstream.name" .context }}]
{{- if .pods }}
{{- with include "logstream.labelRequirements" .context | trim }}
{{- . | nindent 2 }}
{{- end }}
{{- end }}
{{- with $limits.matchExpressions }}
{{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* CEL condition: the pod spec has an agent token, in an env entry or, if the program may read Secrets, possibly in an envFrom. Takes the path of the spec. */}}
{{- define "logstream.carriesToken" -}}
{{- $reads := .context.Values.rbac.readSecrets -}}
((has({{ .spec }}.initContainers) ? {{ .spec }}.initContainers : []) + {{ .spec }}.containers).exists(c, {{ if $reads }}has(c.envFrom) || ({{ end }}has(c.env) && c.env.exists(e, e.name in ['CODER_AGENT_TOKEN', 'CODER_AGENT_TOKEN_FILE']){{ if $reads }}){{ end }})
{{- end -}}

{{- define "logstream.webhook" -}}
admissionReviewVersions: [v1]
clientConfig: {{- include "logstream.clientConfig" .context | nindent 2 }}
failurePolicy: {{ .context.Values.webhook.failurePolicy }}
timeoutSeconds: {{ .context.Values.webhook.timeoutSeconds }}
matchPolicy: Equivalent
# A webhook that is called later may add the container with the token.
reinvocationPolicy: IfNeeded
# Dry runs get the same answer and are not recorded.
sideEffects: NoneOnDryRun
namespaceSelector: {{- include "logstream.namespaceSelector" .context | trim | nindent 2 }}
objectSelector: {{- include "logstream.objectSelector" . | trim | nindent 2 }}
matchConditions:
  - name: carries-agent-token
    expression: {{ include "logstream.carriesToken" . | quote }}
{{- with .context.Values.webhook.matchConditions }}
{{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
