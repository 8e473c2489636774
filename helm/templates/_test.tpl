{{/* The account of `helm test`: its own, which has only what doctor reads, or the program's where the chart creates no roles. */}}
{{- define "logstream.testServiceAccountName" -}}
{{- if .Values.rbac.create -}}
{{ include "logstream.fullname" . }}-test
{{- else -}}
{{ include "logstream.serviceAccountName" . }}
{{- end -}}
{{- end -}}

{{/* Labels and annotations of an object that exists only while the test runs. Takes `context`. */}}
{{- define "logstream.testMetadata" -}}
labels: {{- include "logstream.labels" .context | nindent 2 }}
annotations:
  helm.sh/hook: test
  # Before the pod.
  helm.sh/hook-weight: "-1"
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded,hook-failed
{{- end -}}

{{- define "logstream.testSubject" -}}
- kind: ServiceAccount
  name: {{ include "logstream.testServiceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* What doctor reads in each watched namespace. */}}
{{- define "logstream.testWatchRules" -}}
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
{{- end -}}

{{/* What doctor reads and asks in each namespace that has permissions of the program. */}}
{{- define "logstream.testReviewRules" -}}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
- apiGroups: [authorization.k8s.io]
  resources: [localsubjectaccessreviews]
  verbs: [create]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [rolebindings]
  verbs: [list]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles]
  verbs: [get]
{{- if .Values.tests.dryRun }}
# For server-side dry runs alone, to which RBAC cannot limit it.
- apiGroups: [""]
  resources: [pods]
  verbs: [create]
{{- end }}
{{- end -}}
