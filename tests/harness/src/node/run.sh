# Starts registries, containerd and the kubelet of the node whose directory is $dir. Ends when the kubelet does.
if [ -n "${registry:-}" ]; then
    for config in "$dir"/registry/*.json; do
        "$registry" serve "$config" >>"$dir/registry.log" 2>&1 &
    done
fi
containerd -c "$dir/containerd.toml" >"$dir/containerd.log" 2>&1 &
images="ctr -a /run/containerd/containerd.sock -n k8s.io images"
until $images ls >/dev/null 2>&1; do
    sleep 0.1
done
for archive in "$dir"/images/*.tar; do
    $images import "$archive" >>"$dir/import.log" 2>&1
done
if [ -n "${registry:-}" ]; then
    until $images push --plain-http "$pushed" "$image" >>"$dir/import.log" 2>&1; do
        sleep 0.1
    done
fi
"$kubelet" --config "$dir/kubelet.json" --kubeconfig "$kubeconfig" --hostname-override "$name" --node-ip 10.89.0.1 \
    --node-labels node=real --root-dir "$dir/kubelet" --cert-dir "$dir/kubelet/pki" >"$dir/kubelet.log" 2>&1 &
wait $!
