{{/* The watched namespaces, joined by commas; nothing means all of them. */}}
{{- define "logstream.namespaces" -}}
{{- $given := .Values.namespaces -}}
{{- if kindIs "invalid" $given -}}
{{ .Release.Namespace }}
{{- else -}}
  {{- $items := $given -}}
  {{- if kindIs "string" $given }}{{ $items = splitList "," $given }}{{ end -}}
  {{- $names := list -}}
  {{- range $items }}{{ with trim . }}{{ $names = append $names . }}{{ end }}{{ end -}}
  {{- /* A list of only commas is a mistake, and must not widen the watch to the whole cluster. */ -}}
  {{- if and (not $names) (kindIs "string" $given) (trim $given) -}}
    {{- fail (printf "namespaces is %q, which has commas but no name; accepted are names of namespaces, nothing (\"\") for all of them, or null for %s" $given .Release.Namespace) -}}
  {{- end -}}
  {{- $names | uniq | join "," -}}
{{- end -}}
{{- end -}}

{{/* The namespace of the Events of nodes, if rbac.nodeEvents is set and the permission to watch does not cover it. */}}
{{- define "logstream.nodeEventsNamespace" -}}
{{- $covered := or (include "logstream.watchesClusterWide" .) (has "default" (splitList "," (include "logstream.namespaces" .))) -}}
{{- if and .Values.rbac.nodeEvents (not $covered) -}}default{{- end -}}
{{- end -}}

{{/* "true" if the permission to watch is cluster-wide. */}}
{{- define "logstream.watchesClusterWide" -}}
{{- $all := not (include "logstream.namespaces" .) -}}
{{- $scope := .Values.rbac.scope -}}
{{- if and $all (eq $scope "namespaced") -}}
  {{- fail "rbac.scope is namespaced, but all namespaces are watched, which needs a ClusterRole; name the namespaces, or set rbac.scope to auto" -}}
{{- end -}}
{{- if or $all (eq $scope "cluster") .Values.rbac.clusterWide -}}true{{- end -}}
{{- end -}}
