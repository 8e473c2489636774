{{/* Permissions for watching. Pods are looked up by a list, because only that applies the selectors; other objects by name. */}}
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
# Only with rbac.readSecrets: for agent tokens in Secrets and ConfigMaps.
- apiGroups: [""]
  resources: [configmaps, secrets]
  verbs: [get]
{{- end }}
{{- end -}}

{{/* Permissions for the Events of nodes, in the namespace where Kubernetes writes them. */}}
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
