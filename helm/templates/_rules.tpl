{{/* What watching needs. A pod is looked up by a list, as only that honours the selectors; the others by their name. */}}
{{- define "logstream.watchRules" -}}
- apiGroups: [""]
  resources: [events, pods]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [deployments, replicasets, statefulsets]
  verbs: [get, list, watch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch]
{{- if .Values.rbac.readSecrets }}
# Switched on by rbac.readSecrets: for agent tokens that a template does not give as a plain value.
- apiGroups: [""]
  resources: [configmaps, secrets]
  verbs: [get]
{{- end }}
{{- end -}}

{{/* What the Events of nodes need, in the namespace where Kubernetes writes them. */}}
{{- define "logstream.nodeEventsRules" -}}
- apiGroups: [""]
  resources: [events]
  verbs: [list, watch]
{{- end -}}

{{- define "logstream.subject" -}}
- kind: ServiceAccount
  name: {{ include "logstream.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}
