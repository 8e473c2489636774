{{/* Names. Most are the release's own name and nothing else. The chart that this one replaces called its Deployment and its ServiceAccount coder-logstream-kube in every release: those of that name, as its documentation has it, keep both, and of the others helm deletes the old ones at the upgrade. */}}

{{/* The name of what is cluster-wide, or lies in a namespace that other releases watch too. A namespace has no dot, so no two releases share such a name. */}}
{{- define "logstream.clusterName" -}}
{{ .Release.Name }}.{{ .Release.Namespace }}
{{- end -}}

{{/* Release names may have dots and begin with a digit, names of Services may not. */}}
{{- define "logstream.serviceName" -}}
{{ regexReplaceAll "^([0-9])" (.Release.Name | replace "." "-") "s-${1}" }}
{{- end -}}

{{- define "logstream.serviceAccountName" -}}
{{ .Values.serviceAccount.name | default .Release.Name }}
{{- end -}}

{{- define "logstream.progressName" -}}
{{ .Release.Name }}-progress
{{- end -}}

{{/* A Secret of its own for each mode, so that none finds another's key, and named after it: see logstream.madeSecrets. */}}
{{- define "logstream.certSecret" -}}
{{- if eq .Values.certs.mode "provided" -}}
{{ .Values.certs.existingSecret }}
{{- else -}}
{{ .Release.Name }}-{{ .Values.certs.mode }}
{{- end -}}
{{- end -}}

{{/* The Secret of the CA that cert-manager makes for this release. */}}
{{- define "logstream.caSecret" -}}
{{ .Release.Name }}-cert-manager-ca
{{- end -}}

{{/* Every Secret that is made for the release in any mode: it may have had another one before. They are deleted with it, hence names that nobody gives to a Secret of theirs. */}}
{{- define "logstream.madeSecrets" -}}
{{ .Release.Name }}-self-managed,{{ .Release.Name }}-cert-manager,{{ include "logstream.caSecret" . }}
{{- end -}}

{{- define "logstream.watchRoleName" -}}
{{ .Values.rbac.roleName | default (printf "%s:watch" (include "logstream.clusterName" .)) }}
{{- end -}}

{{- define "logstream.watchBindingName" -}}
{{ .Values.rbac.roleBindingName | default (printf "%s:watch" (include "logstream.clusterName" .)) }}
{{- end -}}

{{- define "logstream.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repo }}@{{ .digest }}
{{- else -}}
{{ .repo }}:{{ .tag | default (printf "v%s" $.Chart.AppVersion) }}
{{- end -}}
{{- end -}}
{{- end -}}
