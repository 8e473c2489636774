# PID 1 of the node's namespaces: prepares mounts and network, then starts the relay, containerd and the kubelet.
# Everything below it dies with it. Arguments: the node's directory, the API server's port, kubelet, kubeconfig.
set -eu
dir=$1 port=$2 kubelet=$3 kubeconfig=$4

mount --make-rshared /
# Paths built into kubelet, containerd and libcni.
for path in /run /var/lib/cni /var/lib/kubelet /var/log /etc/cni /opt; do
    mkdir -p "$path"
    mount -t tmpfs tmpfs "$path"
done

ip link set lo up
# Without an address and a default route the kubelet finds no node IP. Both ends stay in this namespace.
ip link add node0 type veth peer name node1
ip addr add 10.89.0.1/24 dev node0
ip link set node0 up
ip link set node1 up
ip route add default dev node0
echo 1 >/proc/sys/net/ipv4/ip_forward

# The kubelet sets these for the whole machine. It reads the values it wants here and writes nothing.
mkdir -p /run/sysctl
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    file=/run/sysctl/$(basename "${setting%=*}")
    echo "${setting#*=}" >"$file"
    mount --bind "$file" "/proc/sys/${setting%=*}"
done
# No registry can be resolved: images are imported, and a pull of any other fails at once.
echo "nameserver 127.0.0.1" >/run/resolv.conf
mount --bind /run/resolv.conf /etc/resolv.conf

socat "TCP-LISTEN:$port,bind=127.0.0.1,fork,reuseaddr" "UNIX-CONNECT:$dir/api.sock" >"$dir/relay.log" 2>&1 &
containerd -c "$dir/containerd.toml" >"$dir/containerd.log" 2>&1 &
until ctr -a /run/containerd/containerd.sock version >/dev/null 2>&1; do
    sleep 0.1
done
for image in "$dir"/images/*.tar; do
    ctr -a /run/containerd/containerd.sock -n k8s.io images import "$image" >>"$dir/import.log" 2>&1
done
"$kubelet" --config "$dir/kubelet.json" --kubeconfig "$kubeconfig" --hostname-override "$(cat "$dir/name")" \
    --node-ip 10.89.0.1 --node-labels node=real --root-dir "$dir/kubelet" --cert-dir "$dir/kubelet/pki" >"$dir/kubelet.log" 2>&1 &
# Stays as PID 1 and reaps; ends when the kubelet does.
wait $!
