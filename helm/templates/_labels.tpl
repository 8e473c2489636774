{{/* Labels of the pods of this release, and of no other pod in its namespace. */}}
{{- define "logstream.selectorLabels" -}}
app.kubernetes.io/name: {{ include "logstream.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The Deployment's selector. The chart that this one replaces called its Deployment coder-logstream-kube and selected by the instance alone, and a selector cannot be changed by an upgrade. Under another name there is nothing to upgrade, and the instance alone would also select the other pods of an umbrella chart. */}}
{{- define "logstream.deploymentSelector" -}}
{{- if eq (include "logstream.fullname" .) "coder-logstream-kube" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- else -}}
{{ include "logstream.selectorLabels" . }}
{{- end -}}
{{- end -}}

{{/* Labels of every object; those of commonLabels never replace the chart's own. */}}
{{- define "logstream.labels" -}}
{{- $own := include "logstream.ownLabels" . | fromYaml -}}
{{- mergeOverwrite (dict) (.Values.commonLabels | default dict) $own | toYaml -}}
{{- end -}}

{{- define "logstream.ownLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{ include "logstream.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* Those labels with more, which never replace them. Takes `context` and `more`. */}}
{{- define "logstream.labelsWith" -}}
{{- $own := include "logstream.labels" .context | fromYaml -}}
{{- mergeOverwrite (dict) (.more | default dict) $own | toYaml -}}
{{- end -}}
