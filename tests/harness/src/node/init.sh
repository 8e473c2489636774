# PID 1 of the node's namespaces. Everything below it dies with it, and it ends when the kubelet does.
# The arguments are variables, as NAME=VALUE.
set -eu
for argument in "$@"; do
    export "${argument?}"
done
. "$dir/prepare.sh"
socat "TCP-LISTEN:$port,bind=127.0.0.1,fork,reuseaddr" "UNIX-CONNECT:$dir/api.sock" >"$dir/relay.log" 2>&1 &
. "$dir/run.sh"
