#!/bin/sh
# Checks the chart: what it renders against tests/golden, what it must refuse, helm lint, the alerts, and README.md.
#
#   tests/run.sh            compares
#   tests/run.sh --update   rewrites tests/golden and README.md; read the difference before you keep it
#
# HELM, KUBECTL and PROMTOOL name the programs; without promtool the alerts are not tested. With KUBECONFIG set, a real API server checks every object too (a strict dry run,
# which changes nothing; kinds that it does not know are left out and named).
set -eu

chart=$(cd "$(dirname "$0")/.." && pwd)
helm=${HELM:-helm}
kubectl=${KUBECTL:-kubectl}
promtool=${PROMTOOL:-promtool}
case ${1:-} in
    '') update='' ;;
    --update) update=yes ;;
    *) echo "usage: $0 [--update]" >&2; exit 2 ;;
esac

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0
fail() {
    failures=$((failures + 1))
    echo "FAILED: $*" >&2
}

# The release is always the same one; of the cluster, helm template knows nothing but the version given here.
render() {
    "$helm" template coder-logstream-kube "$chart" --namespace coder --kube-version 1.30.0 --values "$1"
}

# Renders one values file and compares it with its golden, or writes that.
check_golden() {
    name=$(basename "$1" .yaml)
    golden=$chart/tests/golden/$name.yaml
    if ! render "$1" > "$scratch/$name.yaml" 2> "$scratch/error"; then
        fail "$name does not render: $(cat "$scratch/error")"
        return
    fi
    if [ -n "$update" ]; then
        cp "$scratch/$name.yaml" "$golden"
    elif [ ! -f "$golden" ]; then
        fail "$name has no golden; --update writes it"
    elif ! diff -u "$golden" "$scratch/$name.yaml"; then
        fail "$name is not rendered as its golden says"
    fi
    "$helm" lint "$chart" --strict --namespace coder --kube-version 1.30.0 --values "$1" > "$scratch/lint" 2>&1 ||
        fail "helm lint with $name: $(cat "$scratch/lint")"
}

# A values file that must be refused, with the text that its first line expects.
check_invalid() {
    name=$(basename "$1" .yaml)
    expected=$(sed -n '1s/^# expect: //p' "$1")
    if [ -z "$expected" ]; then
        fail "$name does not say in its first line what to expect"
    elif render "$1" > /dev/null 2> "$scratch/error"; then
        fail "$name is accepted, expected was: $expected"
    elif ! grep -qF -- "$expected" "$scratch/error"; then
        fail "$name is refused with: $(cat "$scratch/error")
    expected was: $expected"
    fi
}

# NOTES.txt of a release in a namespace, by these settings: a text that it must have, and one that it must not have.
check_notes() {
    if ! "$helm" install notes "$chart" --dry-run=client --namespace "$1" --set "url=https://coder.example.com,$2" \
        > "$scratch/notes" 2> "$scratch/error"; then
        fail "the notes in $1 with $2: $(cat "$scratch/error")"
        return
    fi
    sed -i '1,/^NOTES:$/d' "$scratch/notes"
    grep -qF -- "$3" "$scratch/notes" || fail "the notes in $1 with $2 do not have: $3"
    ! grep -qF -- "$4" "$scratch/notes" || fail "the notes in $1 with $2 have: $4"
}

# The documents of an output whose apiVersion the API server knows; of the others, a word to standard error.
known_documents() {
    awk -v known="$scratch/versions" '
        BEGIN { while ((getline line < known) > 0) served[line] = 1; RS = "\n?---\n"; FS = "\n" }
        {
            version = ""; kind = ""
            for (i = 1; i <= NF; i++) {
                if ($i ~ /^apiVersion: /) version = substr($i, 13)
                if ($i ~ /^kind: /) kind = substr($i, 7)
            }
            if (version == "") next
            if (version in served) printf "---\n%s\n", $0
            else printf "not checked by the API server, which does not know it: %s %s\n", version, kind > "/dev/stderr"
        }'
}

# Has the API server check each object, all in the namespace that every cluster has. A dry run creates no ServiceAccount,
# so the pod of `helm test` gets the one that every namespace has.
check_on_server() {
    name=$(basename "$1" .yaml)
    known_documents < "$scratch/$name.yaml" | sed -e 's/^  namespace: .*/  namespace: default/' \
        -e 's/^  serviceAccountName: .*/  serviceAccountName: default/' > "$scratch/dry-run.yaml"
    "$kubectl" apply --server-side --dry-run=server --validate=strict --force-conflicts \
        --filename "$scratch/dry-run.yaml" > "$scratch/answer" 2>&1 || fail "the API server on $name: $(cat "$scratch/answer")"
}

# As a dependency of a chart around it, in a release called as another program: it is switched on by its condition, takes
# global values, and none of its objects has that program's name.
check_umbrella() {
    umbrella=$scratch/umbrella
    mkdir -p "$umbrella/charts"
    cp -R "$chart" "$umbrella/charts/coder-logstream-kube"
    cat > "$umbrella/Chart.yaml" <<'CHART'
apiVersion: v2
name: umbrella
version: 0.0.0
dependencies:
  - name: coder-logstream-kube
    version: "*"
    condition: coder-logstream-kube.enabled
CHART
    for enabled in true false; do
        cat > "$umbrella/values.yaml" <<VALUES
global:
  imageRegistry: mirror.example.com
coder-logstream-kube:
  enabled: $enabled
  url: https://coder.example.com
VALUES
        "$helm" template coder "$umbrella" --namespace coder --kube-version 1.30.0 > "$scratch/$enabled" \
            2> "$scratch/error" || fail "as a dependency with enabled: $enabled: $(cat "$scratch/error")"
    done
    ! grep -nE '^  name: coder$' "$scratch/true" || fail "as a dependency it takes the name of its release"
    grep -qF 'image: "mirror.example.com/coder-logstream-kube/' "$scratch/true" || fail "imageRegistry is not used"
    ! grep -n '^kind:' "$scratch/false" || fail "as a dependency it cannot be switched off"
    # The Deployment does not select Coder's pods, which have the same instance.
    sed -n '/^kind: Deployment/,/^  template:/p' "$scratch/true" | grep -q 'app.kubernetes.io/name:' ||
        fail "as a dependency its Deployment selects by the release alone"
}

# The unit tests of the alerts, the rules as the operator gets them, and that each alert is tested firing and not firing.
check_alerts() {
    if ! command -v "$promtool" > /dev/null; then
        echo "skipped: the alerts are not tested, as there is no promtool (Debian's package prometheus has it)" >&2
        return
    fi
    "$promtool" test rules "$chart/tests/alerts.yaml" > "$scratch/promtool" 2>&1 ||
        fail "the alerts: $(cat "$scratch/promtool")"
    # Indented as YAML needs it, the spec of a PrometheusRule is a rule file.
    sed -n '/^kind: PrometheusRule/,/^---/{/^spec:/,/^---/{/^spec:/d;/^---/d;s/^  //;p}}' \
        "$scratch/everything.yaml" > "$scratch/rules.yaml"
    grep -q 'team: platform' "$scratch/rules.yaml" || fail "ruleLabels are not in the rules"
    ! grep -q CoderLogstreamAbsent "$scratch/rules.yaml" || fail "a disabled alert is rendered"
    "$promtool" check rules "$scratch/rules.yaml" > "$scratch/promtool" 2>&1 ||
        fail "the rendered rules: $(cat "$scratch/promtool")"
    for alert in $(sed -n 's/^ *- alert: //p' "$chart/files/alerts.yaml"); do
        awk -v name="$alert" '
            /- alertname: / { asked = $3 == name; tests += asked }
            /exp_alerts:/ && asked { firing++ }
            END { exit !(firing > 0 && tests > firing) }' "$chart/tests/alerts.yaml" ||
            fail "$alert has no test in which it fires, or none in which it does not"
    done
}

# Not in a golden, where it would be two thousand lines: the ConfigMap has the dashboard as it is, and its settings.
check_dashboard() {
    "$helm" template coder-logstream-kube "$chart" --namespace coder --set url=https://coder.example.com \
        --set metrics.enabled=true,dashboard.enabled=true,dashboard.annotations.grafana_folder=Coder \
        --show-only templates/dashboard.yaml > "$scratch/dashboard" 2> "$scratch/error" ||
        fail "the dashboard does not render: $(cat "$scratch/error")"
    sed '1,/^  coder-logstream-kube.json: |-/d;/^$/d;s/^    //' "$scratch/dashboard" | diff - "$chart/files/dashboard.json" ||
        fail "the ConfigMap has another dashboard"
    grep -qx '    grafana_dashboard: "1"' "$scratch/dashboard" || fail "Grafana's sidecar does not find the dashboard"
    grep -qx '    grafana_folder: Coder' "$scratch/dashboard" || fail "dashboard.annotations are not used"
}

goldens=0
for values in "$chart"/tests/values/*.yaml; do
    check_golden "$values"
    goldens=$((goldens + 1))
done
[ "$goldens" -ge 12 ] || fail "only $goldens values files were compared"
for golden in "$chart"/tests/golden/*.yaml; do
    [ -f "$chart/tests/values/$(basename "$golden")" ] || fail "$golden has no values file"
done

refused=0
for values in "$chart"/tests/invalid/*.yaml; do
    check_invalid "$values"
    refused=$((refused + 1))
done
[ "$refused" -ge 10 ] || fail "only $refused invalid values files were tried"

# The webhook leaves kube-system out: the notes say it, and do not ask there.
check_notes coder namespaces=null 'kubectl --namespace coder run' kube-system
check_notes kube-system namespaces=null 'but not for kube-system' --dry-run=server
check_notes coder 'namespaces={kube-system,team-a}' 'kubectl --namespace team-a run' '--namespace kube-system'
check_notes kube-system namespaces= 'kubectl --namespace default run' 'but not for'
check_notes kube-system webhook.enabled=false 'Start a workspace' 'but not for'

check_notes coder 'namespaces={coder,team-a}' 'Recommended: a namespace of its own' 'Start a workspace'
check_notes coder namespaces= 'Recommended: a namespace of its own' 'Start a workspace'
check_notes coder 'namespaces={team-a,team-b}' 'rollout status' 'Recommended: a namespace'
check_notes coder namespaces=null 'rollout status' 'Recommended: a namespace'

check_umbrella

# No user is fixed where the cluster chooses one, neither in the pod nor in that of helm test; and runAsNonRoot stays.
"$helm" template coder-logstream-kube "$chart" --namespace coder --set url=https://coder.example.com \
    --api-versions security.openshift.io/v1 > "$scratch/openshift"
! grep -n runAsUser "$scratch/openshift" || fail "on OpenShift a user is fixed"
[ "$(grep -c 'runAsNonRoot: true' "$scratch/openshift")" -ge 3 ] || fail "on OpenShift the pod may run as root"

# What the program creates goes with its Deployment. A hook would be created by whatever does not know helm's.
if grep -nE 'helm.sh/hook: .*(delete|install|upgrade)' "$chart"/tests/golden/*.yaml; then
    fail "objects are hooks"
fi

# Whoever has no rights beyond their namespaces can install it without the webhook.
if grep -nE '^kind: (Cluster|MutatingWebhook)' "$chart/tests/golden/webhook-off.yaml"; then
    fail "without the webhook and with namespaces named, something cluster-wide is rendered"
fi
# Nothing is made up while rendering: neither a certificate nor a bundle, unless it was provided.
for golden in "$chart"/tests/golden/*.yaml; do
    case $golden in
        */provided.yaml) ;;
        *) ! grep -nE 'caBundle:|^ *(data|stringData):|BEGIN ' "$golden" || fail "$golden has made-up data" ;;
    esac
done

check_alerts
check_dashboard

if [ -n "$update" ]; then
    python3 "$chart/tools/readme.py"
    python3 "$chart/tools/dashboard.py"
else
    python3 "$chart/tools/dashboard.py" --check || fail "the dashboard or the alerts in docs/monitoring are out of date"
    python3 "$chart/tools/readme.py" --check || fail "README.md or the schema does not fit values.yaml"
fi

if [ -n "${KUBECONFIG:-}" ]; then
    "$kubectl" api-versions > "$scratch/versions"
    for values in "$chart"/tests/values/*.yaml; do check_on_server "$values"; done
fi

if [ "$failures" -gt 0 ]; then
    echo "$failures checks failed" >&2
    exit 1
fi
echo "$goldens values files render as expected, $refused are refused as expected"
