{{- define "logstream.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* The prefix of all names: the release's name if it contains the chart's, otherwise both. A release named coder-logstream-kube keeps the Deployment and the ServiceAccount of the chart that this one replaces. */}}
{{- define "logstream.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* The name of objects that are cluster-wide or in a namespace that other releases watch too. Namespaces contain no dot, so no two releases share such a name. */}}
{{- define "logstream.clusterName" -}}
{{ include "logstream.fullname" . }}.{{ .Release.Namespace }}
{{- end -}}

{{/* Release names may have dots and begin with a digit, names of Services may not. */}}
{{- define "logstream.serviceName" -}}
{{ regexReplaceAll "^([0-9])" (include "logstream.fullname" . | replace "." "-") "s-${1}" }}
{{- end -}}

{{- define "logstream.serviceAccountName" -}}
{{- $ownName := ternary (include "logstream.fullname" .) "default" .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default $ownName }}
{{- end -}}

{{- define "logstream.progressName" -}}
{{ include "logstream.fullname" . }}-progress
{{- end -}}

{{/* The Lease by which one replica is elected to deliver. */}}
{{- define "logstream.leaseName" -}}
{{ include "logstream.fullname" . }}
{{- end -}}

{{/* Each mode has its own Secret, so that none uses the key of another. */}}
{{- define "logstream.certSecret" -}}
{{- if eq .Values.certs.mode "provided" -}}
{{ .Values.certs.existingSecret }}
{{- else -}}
{{ include "logstream.fullname" . }}-{{ .Values.certs.mode }}
{{- end -}}
{{- end -}}

{{/* The Secret of the CA that cert-manager creates for this release. */}}
{{- define "logstream.caSecret" -}}
{{ include "logstream.fullname" . }}-cert-manager-ca
{{- end -}}

{{/* The Secret that the program creates in the self-managed mode. Its Deployment owns it. */}}
{{- define "logstream.selfManagedSecret" -}}
{{ include "logstream.fullname" . }}-self-managed
{{- end -}}

{{- define "logstream.certificateName" -}}
{{ .Values.certs.certificateName | default (printf "%s-serving" (include "logstream.fullname" .)) }}
{{- end -}}

{{- define "logstream.caCertificateName" -}}
{{ .Values.certs.caCertificateName | default (printf "%s-ca" (include "logstream.fullname" .)) }}
{{- end -}}

{{- define "logstream.watchRoleName" -}}
{{ .Values.rbac.roleName | default (printf "%s:watch" (include "logstream.clusterName" .)) }}
{{- end -}}

{{- define "logstream.watchBindingName" -}}
{{ .Values.rbac.roleBindingName | default (printf "%s:watch" (include "logstream.clusterName" .)) }}
{{- end -}}

{{- define "logstream.image" -}}
{{- $repo := .Values.image.repo -}}
{{- with (.Values.global | default dict).imageRegistry -}}
  {{- /* The registry is the part before the first slash, if it looks like a host. */ -}}
  {{- $repo = printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repo "") -}}
{{- end -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ $repo }}@{{ .digest }}
{{- else -}}
{{ $repo }}:{{ .tag | default (printf "v%s" $.Chart.AppVersion) }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The pull secrets of this chart and of its parent chart, which may be plain names. */}}
{{- define "logstream.pullSecrets" -}}
{{- $secrets := list -}}
{{- range concat ((.Values.global | default dict).imagePullSecrets | default list) (.Values.image.pullSecrets | default list) -}}
  {{- $secrets = append $secrets (ternary (dict "name" .) . (kindIs "string" .)) -}}
{{- end -}}
{{- with $secrets | uniq }}{{ toYaml . }}{{ end -}}
{{- end -}}
