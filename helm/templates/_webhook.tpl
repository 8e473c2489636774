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
- {{ $name }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
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

{{/* labelSelector, in the notation of kubectl, as matchExpressions. A comparison of numbers has no operator there and selects by the key alone; the program looks at the number. */}}
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

{{/* Which objects: not our own pods (never our own namespace, as workspaces may live in it), the pods that labelSelector selects, and the user's limits. A workload has other labels than its pods: of its template the program looks at them. */}}
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

{{/* The API server calls only for a pod spec with an agent token: in an env entry, or where the program may read it in an envFrom, which only its Secret or ConfigMap can tell. Takes the path of the spec. */}}
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
# A webhook that comes later may add the container that carries the token.
reinvocationPolicy: IfNeeded
# Dry runs are answered alike and recorded nowhere.
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
