# Mounts, network and sysctls of a node's namespaces. Sourced by their PID 1.
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
# No other registry can be resolved: a pull from it fails at once.
echo "nameserver 127.0.0.1" >/run/resolv.conf
mount --bind /run/resolv.conf /etc/resolv.conf
