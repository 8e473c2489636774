{{/* Checks that the schema cannot express, or only with an unclear message. */}}
{{- define "logstream.checks" -}}
{{- $values := .Values -}}
{{- if not $values.url -}}
  {{- fail "url is missing: the address of your Coder deployment, such as --set url=https://coder.example.com" -}}
{{- end -}}
{{- include "logstream.checkLogLevel" . -}}
{{- if $values.webhook.enabled -}}
  {{- include "logstream.checkDurations" . -}}
  {{- include "logstream.checkUrlPort" . -}}
  {{- $certs := $values.certs -}}
  {{- if eq $certs.mode "provided" -}}
    {{- if not $certs.existingSecret -}}
      {{- fail "certs.mode is provided, so certs.existingSecret must name a Secret with tls.crt and tls.key" -}}
    {{- end -}}
    {{- if not (trim ($certs.caBundle | default "")) -}}
      {{- fail "certs.mode is provided, so certs.caBundle must hold the CA that issued the certificate: without it the API server does not trust the webhook; --set-file certs.caBundle=ca.crt takes it from a file" -}}
    {{- end -}}
    {{- if eq $certs.existingSecret (include "logstream.selfManagedSecret" .) -}}
      {{- fail (printf "certs.existingSecret is %s, the Secret of certs.mode self-managed, which is deleted with the release; give your Secret another name" $certs.existingSecret) -}}
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
{{- if and (or $values.prometheusRule.enabled $values.dashboard.enabled) (not $values.metrics.enabled) -}}
  {{- fail "prometheusRule.enabled and dashboard.enabled need metrics.enabled: without it there is nothing to show" -}}
{{- end -}}
{{- range $values.prometheusRule.disabled -}}
  {{- if not (contains (printf "alert: %s\n" .) ($.Files.Get "files/alerts.yaml")) -}}
    {{- fail (printf "prometheusRule.disabled names %s, which is not an alert of this chart" .) -}}
  {{- end -}}
{{- end -}}
{{- if and $values.networkPolicy.enabled $values.networkPolicy.metricsFrom $values.metrics.enabled (eq (int $values.metrics.port) (int $values.probes.port)) -}}
  {{- fail (printf "networkPolicy.metricsFrom cannot take effect, as metrics.port and probes.port are both %v and that port is open to everyone, for the kubelet; give the metrics a port of their own" $values.metrics.port) -}}
{{- end -}}
{{- range $name := list "fullnameOverride" "nameOverride" -}}
  {{- with get $values $name -}}
    {{- if gt (len .) 63 }}{{ fail (printf "%s is %s, which is longer than 63 characters" $name .) }}{{ end -}}
  {{- end -}}
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

{{/* The same check as the program's. */}}
{{- define "logstream.checkLogLevel" -}}
{{- $level := .Values.log.level -}}
{{- $general := list -}}
{{- range splitList "," $level -}}
  {{- with trim . -}}
    {{- if not (regexMatch "(?i)^([a-z0-9_:]+\\s*=\\s*)?(off|error|warn|info|debug|trace)$" .) -}}
      {{- fail (printf "log.level is %q, where %q is not a level; accepted are off, error, warn, info, debug and trace, and MODULE=LEVEL, separated by commas" $level .) -}}
    {{- end -}}
    {{- if not (contains "=" .) }}{{ $general = append $general . }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- if gt (len $general) 1 -}}
  {{- fail (printf "log.level is %q, which gives two levels without a module" $level) -}}
{{- end -}}
{{- end -}}

{{/* A duration such as 1h30m, in seconds. The schema has checked its syntax. */}}
{{- define "logstream.seconds" -}}
{{- $total := 0 -}}
{{- range regexFindAll "[0-9]+[hms]" . -1 -}}
  {{- $number := regexFind "[0-9]+" . | atoi -}}
  {{- $total = add $total (mul $number (get (dict "h" 3600 "m" 60 "s" 1) (regexFind "[hms]" .))) -}}
{{- end -}}
{{- $total -}}
{{- end -}}

{{/* Lifetimes of certificates that the issuer would reject, or renew without end. */}}
{{- define "logstream.checkDurations" -}}
{{- $certs := .Values.certs -}}
{{- $seconds := dict -}}
{{- range $key := list "caDuration" "duration" "caRenewBefore" "renewBefore" -}}
  {{- $_ := set $seconds $key (include "logstream.seconds" (get $certs $key) | atoi) -}}
{{- end -}}
{{- $used := list -}}
{{- if eq $certs.mode "self-managed" }}{{ $used = list "caDuration" "duration" }}{{ end -}}
{{- if eq $certs.mode "cert-manager" }}{{ $used = list "duration" "renewBefore" }}{{ end -}}
{{- $ownCA := ne $certs.mode "provided" -}}
{{- if and (eq $certs.mode "cert-manager") $certs.issuerRef }}{{ $ownCA = false }}{{ end -}}
{{- if and (eq $certs.mode "cert-manager") $ownCA }}{{ $used = concat $used (list "caDuration" "caRenewBefore") }}{{ end -}}
{{- range $key := $used -}}
  {{- if eq (get $seconds $key) 0 -}}
    {{- fail (printf "certs.%s is %s, which is zero" $key (get $certs $key)) -}}
  {{- end -}}
  {{- /* The limits of the program's own settings. */ -}}
  {{- if and (eq $certs.mode "self-managed") (or (lt (get $seconds $key) 5) (gt (get $seconds $key) 630720000)) -}}
    {{- fail (printf "certs.%s is %s; accepted are durations from 5s to 175200h" $key (get $certs $key)) -}}
  {{- end -}}
{{- end -}}
{{- if and $ownCA (gt $seconds.duration $seconds.caDuration) -}}
  {{- fail (printf "certs.duration is %s and certs.caDuration is %s, but no certificate outlives its CA" $certs.duration $certs.caDuration) -}}
{{- end -}}
{{- if eq $certs.mode "cert-manager" -}}
  {{- /* cert-manager's own limits. */ -}}
  {{- range $key := $used -}}
    {{- $renews := hasSuffix "enewBefore" $key -}}
    {{- if lt (get $seconds $key) (ternary 300 3600 $renews) -}}
      {{- fail (printf "certs.%s is %s, but cert-manager accepts no less than %s" $key (get $certs $key) (ternary "5m" "1h" $renews)) -}}
    {{- end -}}
  {{- end -}}
  {{- if ge $seconds.renewBefore $seconds.duration -}}
    {{- fail (printf "certs.renewBefore is %s and certs.duration is %s, so the certificate would be renewed continuously" $certs.renewBefore $certs.duration) -}}
  {{- end -}}
  {{- if and $ownCA (ge $seconds.caRenewBefore $seconds.caDuration) -}}
    {{- fail (printf "certs.caRenewBefore is %s and certs.caDuration is %s, so the CA would be renewed continuously" $certs.caRenewBefore $certs.caDuration) -}}
  {{- end -}}
  {{- if and $ownCA (lt $seconds.caRenewBefore $seconds.duration) -}}
    {{- fail (printf "certs.caRenewBefore is %s and certs.duration is %s, so a serving certificate could outlive its CA" $certs.caRenewBefore $certs.duration) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* The schema checks the syntax of webhook.url, but not the range of its port. */}}
{{- define "logstream.checkUrlPort" -}}
{{- with regexFind ":[0-9]+/?$" .Values.webhook.url | trimAll ":/" -}}
  {{- if or (lt (atoi .) 1) (gt (atoi .) 65535) -}}
    {{- fail (printf "webhook.url is %s, but ports are from 1 to 65535" $.Values.webhook.url) -}}
  {{- end -}}
{{- end -}}
{{- end -}}
