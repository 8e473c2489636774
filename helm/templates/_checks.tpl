{{/* What no schema can say in words that a person understands. */}}
{{- define "logstream.checks" -}}
{{- $values := .Values -}}
{{- if not $values.url -}}
  {{- fail "url is missing: the address of your Coder deployment, such as --set url=https://coder.example.com" -}}
{{- end -}}
{{- if $values.webhook.enabled -}}
  {{- $certs := $values.certs -}}
  {{- if eq $certs.mode "provided" -}}
    {{- if not $certs.existingSecret -}}
      {{- fail "certs.mode is provided, so certs.existingSecret must name a Secret with tls.crt and tls.key" -}}
    {{- end -}}
    {{- if not (trim ($certs.caBundle | default "")) -}}
      {{- fail "certs.mode is provided, so certs.caBundle must hold the CA that issued the certificate: without it the API server does not trust the webhook; --set-file certs.caBundle=ca.crt takes it from a file" -}}
    {{- end -}}
    {{- if has $certs.existingSecret (include "logstream.madeSecrets" . | splitList ",") -}}
      {{- fail (printf "certs.existingSecret is %s, which helm uninstall deletes, as in another certs.mode it is made for the release; give your Secret another name" $certs.existingSecret) -}}
    {{- end -}}
  {{- else if or $certs.existingSecret $certs.caBundle -}}
    {{- fail (printf "certs.existingSecret and certs.caBundle are for certs.mode provided, but it is %s" $certs.mode) -}}
  {{- end -}}
  {{- if and $certs.issuerRef (ne $certs.mode "cert-manager") -}}
    {{- fail (printf "certs.issuerRef is for certs.mode cert-manager, but it is %s" $certs.mode) -}}
  {{- end -}}
{{- end -}}
{{- if and (or $values.serviceMonitor.enabled $values.podMonitor.enabled) (not $values.metrics.enabled) -}}
  {{- fail "serviceMonitor.enabled and podMonitor.enabled need metrics.enabled: without it there is nothing to scrape" -}}
{{- end -}}
{{- $ports := list (int $values.probes.port) -}}
{{- if $values.metrics.enabled }}{{ $ports = append $ports (int $values.metrics.port) }}{{ end -}}
{{- if and $values.webhook.enabled $values.webhook.hostNetwork (has 10250 (append $ports (int $values.webhook.port))) -}}
  {{- fail "webhook.hostNetwork is on and webhook.port, metrics.port or probes.port is 10250, which is the kubelet's on every node; choose another, such as webhook.port 10260" -}}
{{- end -}}
{{- if and $values.webhook.enabled (has (int $values.webhook.port) $ports) -}}
  {{- fail (printf "webhook.port is %v, which metrics.port or probes.port is too; the webhook speaks TLS and needs a port of its own" $values.webhook.port) -}}
{{- end -}}
{{- end -}}
