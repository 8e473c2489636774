//! A container cannot be created or started, ends, or is not healthy.

use super::{
    Actor::{Administrator, Nobody, Owner, TemplateAuthor},
    Area::Containers as AREA,
    Cause,
    pattern::Pattern,
    symptom::Topic,
};
use crate::line::Level::{Error, Warn};

const START: Pattern = Pattern::of(Topic::Container);
const EXIT: Pattern = Pattern::of(Topic::Exit);
const PROBE: Pattern = Pattern::of(Topic::Probe);
const EVENT: Pattern = Pattern::of(Topic::Event);

const LOG: &str = "The container's own log may say why.";

pub(super) static CAUSES: &[Cause] = &[
    Cause::new(AREA, "crash_loop", Warn, Owner, "The container ends again and again")
        .on(&[START.reason(&["CrashLoopBackOff"]), EVENT.reason(&["BackOff"]).text(&["restarting failed container", "back-off restarting"])])
        .says("Kubernetes waits longer before each new try.", "How it ended is in the lines above.")
        .seen("CrashLoopBackOff", "back-off 40s restarting failed container=dev pod=ws-1"),
    Cause::new(AREA, "stop_hook", Warn, TemplateAuthor, "The hook before a stop fails")
        .on(&[START.reason(&["FailedPreStopHook"]), START.text(&["prestophook failed"])])
        .says("A command or request that the template runs before the container stops (a preStop hook) failed.", "The container stops all the same.")
        .seen("FailedPreStopHook", "PreStopHook failed"),
    Cause::new(AREA, "lifecycle_hook", Error, TemplateAuthor, "A lifecycle hook fails")
        .on(&[START.reason(&["PostStartHookError", "FailedPostStartHook"]), START.text(&["exec lifecycle hook (", "http lifecycle hook (", "httpget lifecycle hook"])])
        .says("A command or request that the template runs when the container starts (a postStart hook) failed, which ends the container.", "The template's author must correct it.")
        .seen("PostStartHookError", "Exec lifecycle hook ([sh -c exit 3]) for Container \"dev\" in Pod \"ws-1\" failed - error: command 'sh -c exit 3' exited with 3"),
    Cause::new(AREA, "secret_missing", Error, TemplateAuthor, "A Secret does not exist")
        .on(&[START.text(&["secret ? not found", "secrets ? not found"])])
        .says("The Secret{q1} that the template refers to does not exist in this namespace.", "The template's author or an administrator must create it.")
        .seen("CreateContainerConfigError", "secret \"workspace-secret\" not found"),
    Cause::new(AREA, "configmap_missing", Error, TemplateAuthor, "A ConfigMap does not exist")
        .on(&[START.text(&["configmap ? not found", "configmaps ? not found"])])
        .says("The ConfigMap{q1} that the template refers to does not exist in this namespace.", "The template's author or an administrator must create it.")
        .seen("CreateContainerConfigError", "configmap \"workspace-settings\" not found"),
    Cause::new(AREA, "key_missing", Error, TemplateAuthor, "A Secret or ConfigMap lacks a key")
        .on(&[START.text(&["couldn't find key ? in ? ?", "couldn't find key ?", "non-existent secret key: ?", "non-existent config key: ?"])])
        .says("The Secret or ConfigMap exists, and does not have the key{q1} that the template refers to.", "The template's author must correct the key, or an administrator must add it.")
        .seen("CreateContainerConfigError", "couldn't find key password in Secret workspaces/secret"),
    Cause::new(AREA, "config_cache", Warn, Nobody, "The node has not read a Secret, ConfigMap or Service yet")
        .on(&[START.text(&["failed to sync secret cache", "failed to sync configmap cache", "cannot construct envvars", "services have not yet been read", "not registered"])])
        .says("The node has not read the Secrets and ConfigMaps of the pod yet.", "Kubernetes tries again by itself.")
        .seen("CreateContainerConfigError", "failed to sync configmap cache: timed out waiting for the condition"),
    Cause::new(AREA, "run_as_non_root", Error, TemplateAuthor, "The container may not run as root")
        .on(&[START.text(&["runasnonroot", "breaks non-root policy", "break non-root policy"])])
        .says("The template demands that the container does not run as root, and the image runs as root or does not name its user by number.", "The template's author must set runAsUser, or USER with a number in the image.")
        .seen("CreateContainerConfigError", "container has runAsNonRoot and image will run as root (pod: \"ws-1\", container: dev)"),
    Cause::new(AREA, "user_unknown", Error, TemplateAuthor, "The image does not know the user")
        .on(&[START.text(&["unable to find user ?:", "unable to find user", "unable to find group", "no matching entries in passwd", "unable to find uid", "failed to generate user string"])])
        .says("The user{q1} that the image or the template names is not in the image.", "The template's author must correct it.")
        .seen("CreateContainerError", "failed to create containerd container: unable to find user coder: no matching entries in passwd file"),
    Cause::new(AREA, "gpu_runtime", Error, Administrator, "The node's GPU driver does not work")
        .on(&[START.text(&["nvidia-container-cli", "nvidia-container-runtime", "unresolvable cdi", "cdi device injection failed", "libnvidia", "could not select device driver", "nvml"])])
        .says("The node's GPU or other device, or its driver, does not work, or does not fit the image.", "An administrator must repair it; starting the workspace again may find another node.")
        .seen("RunContainerError", "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error running prestart hook #0: exit status 1, stderr: nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object file"),
    Cause::new(AREA, "seccomp_missing", Error, Administrator, "The node lacks the seccomp profile")
        .on(&[START.text(&["seccomp profile ?:", "seccomp profile", "seccomp filter", "initialize seccomp", "init seccomp"])])
        .says("The node does not have the seccomp profile that the template names, or cannot use it.", "An administrator must install it, or the template's author must name another.")
        .seen("CreateContainerError", "failed to create containerd container: cannot load seccomp profile \"/var/lib/kubelet/seccomp/coder.json\": no such file or directory"),
    Cause::new(AREA, "apparmor_missing", Error, Administrator, "The node lacks the AppArmor or SELinux setting")
        .on(&[START.text(&["apparmor", "selinux", "security label"]), START.raw(&["/attr/current", "/attr/exec", "/attr/keycreate"])])
        .says("The node does not have the AppArmor profile or SELinux setting that the template names.", "An administrator must install it, or the template's author must name another.")
        .seen("CreateContainerError", "failed to create containerd container: get apparmor_parser version: apparmor profile not found coder"),
    Cause::new(AREA, "workdir", Error, TemplateAuthor, "The working directory cannot be used")
        .on(&[START.text(&["chdir to cwd (?)", "chdir to cwd", "set working directory", "working directory ?", "error during container init: mkdir ?:"])])
        .says("The container's working directory{q1} does not exist, is no directory, or its user may not enter it.", "The template's author must correct workingDir or the volume's permissions.")
        .seen("RunContainerError", "failed to create containerd task: runc create failed: unable to start container process: error during container init: chdir to cwd (\"/home/coder\") set in config.json failed: permission denied"),
    Cause::new(AREA, "container_device", Error, Administrator, "The node lacks a device")
        .on(&[START.text(&["error gathering device information", "no such device", "not a device node"]), START.raw(&["lstat /dev/"])])
        .says("The node does not have a device that the template asks for.", "The template's author must choose nodes that have it.")
        .seen("CreateContainerError", "failed to generate spec: error gathering device information while adding custom device \"/dev/kvm\": not a device node"),
    Cause::new(AREA, "container_mount", Error, TemplateAuthor, "A volume cannot be put where the template wants it")
        .on(&[START.text(&["error mounting ? to rootfs at ?:", "error mounting", "mounting * to rootfs", "to rootfs at", "are you trying to mount a directory onto a file", "not a shared mount", "failed to generate spec: failed to stat ?:", "failed to generate * mount", "error while creating mount source path"])])
        .says("A volume cannot be mounted at the path that the template names: that is a file, a place of the system, or read-only.", "The template's author must choose another mountPath or subPath.")
        .seen("RunContainerError", "runc create failed: unable to start container process: error during container init: error mounting \"/var/lib/kubelet/x\" to rootfs at \"/etc/passwd\": not a directory"),
    Cause::new(AREA, "exec_format", Error, TemplateAuthor, "The program is built for another architecture")
        .on(&[START.text(&["exec format error"]), EXIT.text(&["exec format error"])])
        .says("The program is built for another processor architecture than the node's, or a script lacks its first line (#!).", "The template's author must choose an image that fits, or nodes that it is built for.")
        .seen("RunContainerError", "runc create failed: unable to start container process: exec /opt/agent: exec format error"),
    Cause::new(AREA, "command_not_found", Error, TemplateAuthor, "The command does not exist in the image")
        .on(&[START.text(&["exec: ?: executable file not found", "executable file ? not found", "executable file not found in $path", "exec: ?: stat ?: no such file", "exec: ?: stat ?: not a directory", "exec: * stat *: no such file or directory", "exec: ?: no such file or directory", "exec: ?: not a directory", "exec ?: no such file or directory", "not found in $path"])])
        .says("The command{q1} does not exist in the image, or a library or interpreter that it needs.", "The template's author must correct the command or the image.")
        .seen("RunContainerError", "runc create failed: unable to start container process: exec: \"coder-agent\": executable file not found in $PATH"),
    Cause::new(AREA, "no_command", Error, TemplateAuthor, "The image has no command")
        .on(&[START.text(&["no command specified"])])
        .says("Neither the image nor the template says what to run.", "The template's author must set a command.")
        .seen("CreateContainerError", "failed to generate container \"x\" spec: failed to generate spec: no command specified"),
    Cause::new(AREA, "container_no_space", Error, Administrator, "The node has no disk space for the container")
        .on(&[START.text(&["no space left on device", "disk quota exceeded"])])
        .says("The node has no disk space left.", "An administrator must make room; starting the workspace again may find another node.")
        .seen("CreateContainerError", "failed to create containerd container: mkdir /var/lib/containerd/x: no space left on device"),
    Cause::new(AREA, "command_not_permitted", Error, TemplateAuthor, "The command cannot be executed")
        .on(&[START.text(&["exec: ?: permission denied", "exec: ?: is a directory", "exec: ?: operation not permitted", "exec ?: permission denied", "exec ?: operation not permitted", "open executable: permission denied", "exec: * permission denied"])])
        .says("The command{q1} cannot be executed: it is not marked as executable, is a directory, or the container's user may not run it.", "The template's author must correct the command or the image.")
        .seen("RunContainerError", "runc create failed: unable to start container process: exec: \"/opt/notexec\": permission denied"),
    Cause::new(AREA, "container_no_resources", Warn, Administrator, "The node lacks memory, processes or files for the container")
        .on(&[START.text(&["cannot allocate memory", "resource temporarily unavailable", "too many open files", "too many processes", "pids.max", "failed to create cgroup", "unable to apply cgroup"])])
        .says("The node has too few of its own resources to start the container.", "Kubernetes tries again by itself; if it goes on, tell your administrator.")
        .seen("RunContainerError", "failed to create shim task: fork/exec /usr/bin/runc: resource temporarily unavailable"),
    Cause::new(AREA, "container_runtime_slow", Warn, Administrator, "The node's runtime does not answer in time")
        .on(&[START.text(&["context deadline exceeded", "deadlineexceeded", "ttrpc: closed", "code = unavailable", "failed to reserve container name", "name ? is reserved", "is reserved for", "failed to start shim", "containerd.sock", "crio.sock"])])
        .says("The node's container runtime is overloaded or does not answer.", "Kubernetes tries again by itself; if it goes on, tell your administrator.")
        .seen("CreateContainerError", "context deadline exceeded"),
    Cause::new(AREA, "container_config", Error, TemplateAuthor, "The container's configuration is not usable, for another reason")
        .on(&[START.reason(&["CreateContainerConfigError"])])
        .says("The container's configuration cannot be used; the message says why.", "Show it to the template's author.")
        .seen("CreateContainerConfigError", "something of this kubelet"),
    Cause::new(AREA, "container_start", Error, TemplateAuthor, "The container cannot be started, for another reason")
        .on(&[START.reason(&["CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun"])])
        .says("The node's runtime cannot start the container; the message says why.", "Show it to the template's author.")
        .seen("RunContainerError", "something of this runtime"),
    Cause::new(AREA, "oom_killed_init", Error, TemplateAuthor, "An init container ran out of memory")
        .on(&[EXIT.reason(&["OOMKilled"]).init()])
        .says("It used more memory than {limit} while it prepared the workspace.", "The template's author must raise that init container's memory limit.")
        .seen("OOMKilled", ""),
    Cause::new(AREA, "oom_killed", Error, Owner, "The container ran out of memory")
        .on(&[EXIT.reason(&["OOMKilled"])])
        .says("It used more memory than {limit}.", "Choose a larger size for the workspace, or run less in it.")
        .seen("OOMKilled", ""),
    Cause::new(AREA, "exit_lost", Warn, Nobody, "Nothing is known of how the container ended")
        .on(&[EXIT.reason(&["ContainerStatusUnknown"]), EXIT.text(&["could not be located when the pod"])])
        .says("Its node lost sight of it, for example as the node was restarted or the pod was taken away.", "Kubernetes starts it again where it can.")
        .seen("ContainerStatusUnknown", "The container could not be located when the pod was terminated"),
    Cause::new(AREA, "exit_unreachable", Error, Owner, "A program in the container cannot reach a server")
        .on(&[EXIT.code(1, 125).text(&["could not resolve host", "unable to resolve host", "no such host", "connection refused", "connection timed out", "i/o timeout", "network is unreachable", "no route to host", "name resolution", "failed to connect to ? port", "cannot reach ?", "couldn't connect to server", "client.timeout exceeded", "request canceled while waiting for connection", "tls handshake timeout"])])
        .says("A program in the container could not reach a server, which the message names.", "If that is Coder, an administrator must check the access URL and the network of the workspaces.")
        .seen("Error", "curl: (6) Could not resolve host: coder.example.com"),
    Cause::new(AREA, "exit_certificate", Error, Administrator, "A program in the container does not trust a certificate")
        .on(&[EXIT.code(1, 125).text(&["x509:", "ssl certificate problem", "certificate verify failed", "certificate verification failed", "self-signed certificate", "self signed certificate"])])
        .says("A program in the container does not trust the certificate of a server.", "If that is Coder, the image needs the CA of your organization: ask the template's author.")
        .seen("Error", "curl: (60) SSL certificate problem: unable to get local issuer certificate"),
    Cause::new(AREA, "exit_no_space", Error, Owner, "No disk space is left in the container")
        .on(&[EXIT.code(1, 125).text(&["no space left on device", "disk quota exceeded"])])
        .says("No disk space is left, in the home volume or on the node.", "Remove what you do not need, or choose a larger volume.")
        .seen("Error", "mkdir: cannot create directory '/home/coder/x': No space left on device"),
    Cause::new(AREA, "exit_read_only", Error, TemplateAuthor, "A program writes where it may not")
        .on(&[EXIT.code(1, 125).text(&["read-only file system", "permission denied", "operation not permitted"]).without(&["exec"])])
        .says("A program in the container may not write or read a file, which the message names.", "The template's author must correct the user, the volume's permissions or readOnlyRootFilesystem.")
        .seen("Error", "touch: /etc/x: Read-only file system"),
    Cause::new(AREA, "init_failed", Error, TemplateAuthor, "An init container fails")
        .on(&[EXIT.init().code(1, 125), EXIT.init().code(128, 128), EXIT.init().code(160, 255)])
        .says("It prepares the workspace, and the workspace does not start before it succeeds.", LOG)
        .seen("Error", "exit 1"),
    Cause::new(AREA, "exit_zero", Warn, TemplateAuthor, "The container's program ended where it should have stayed")
        .on(&[EXIT.code(0, 0)])
        .says("Its program ended without an error, and a workspace needs one that keeps running.", "The template's author must let the container run the agent in the foreground.")
        .seen("Completed", ""),
    Cause::new(AREA, "exit_126", Error, TemplateAuthor, "Exit code 126: a command is not executable")
        .on(&[EXIT.code(126, 126)])
        .says("Exit code 126 usually means that a command is not executable.", "The template's author must correct it.")
        .seen("Error", ""),
    Cause::new(AREA, "exit_127", Error, TemplateAuthor, "Exit code 127: a command was not found")
        .on(&[EXIT.code(127, 127)])
        .says("Exit code 127 usually means that a command does not exist in the image.", "The template's author must correct it.")
        .seen("Error", ""),
    Cause::new(AREA, "exit_sigkill", Error, Owner, "Exit code 137: the container was killed")
        .on(&[EXIT.code(137, 137)])
        .says("It was killed (SIGKILL): one of its processes ran out of memory, or it did not end in time when it was asked to, as after a failed probe or hook.", LOG)
        .seen("Error", ""),
    Cause::new(AREA, "exit_sigsegv", Error, TemplateAuthor, "Exit code 139: a program crashed")
        .on(&[EXIT.code(139, 139), EXIT.code(132, 132), EXIT.code(134, 136)])
        .says("Its program crashed ({signal}).", LOG)
        .seen("Error", ""),
    Cause::new(AREA, "exit_sigterm", Error, Owner, "Exit code 143: the container was asked to stop")
        .on(&[EXIT.code(143, 143), EXIT.code(130, 130)])
        .says("It was asked to stop ({signal}), by Kubernetes or by a program in it.", LOG)
        .seen("Error", ""),
    Cause::new(AREA, "exit_signal", Error, Owner, "A signal ended the container")
        .on(&[EXIT.code(129, 159)])
        .says("A signal ended its program ({signal}).", LOG)
        .seen("Error", ""),
    Cause::new(AREA, "exit_failed", Error, Owner, "The container's program fails")
        .on(&[EXIT])
        .says("Its command failed.", LOG)
        .seen("Error", ""),
    Cause::new(AREA, "environment_names", Warn, TemplateAuthor, "Some keys cannot be environment variables")
        .on(&[EVENT.reason(&["InvalidEnvironmentVariableNames"])])
        .says("Some keys of a Secret or ConfigMap are no valid names of environment variables and were left out.", "The template's author must rename them if they are needed.")
        .seen("InvalidEnvironmentVariableNames", "Keys [my key] from the EnvFrom secret team/env were skipped since they are considered invalid environment variable names."),
    Cause::new(AREA, "pod_resize", Warn, Administrator, "The running pod cannot get another size")
        .on(&[EVENT.reason(&["ResizeInfeasible", "ResizeDeferred", "ResizeError"])])
        .says("The node cannot give the running workspace the CPU or memory that it was changed to.", "It goes on as it is; start it again to get another node.")
        .seen("ResizeDeferred", "Pod resize Deferred: Node didn't have enough resource: memory"),
    Cause::new(AREA, "kill_timeout", Warn, Nobody, "The container did not end in time")
        .on(&[EVENT.reason(&["ExceededGracePeriod"])])
        .says("The container did not end in the time it was given.", "Kubernetes ends it by force.")
        .seen("ExceededGracePeriod", "Container runtime did not kill the pod within specified grace period."),
    Cause::new(AREA, "kill_failed", Warn, Administrator, "The node cannot end the pod yet")
        .on(&[EVENT.reason(&["FailedKillPod"])])
        .says("The node could not end the pod, or free what it used there; the message says why.", "Kubernetes tries again by itself; if it goes on, tell your administrator.")
        .seen("FailedKillPod", "error killing pod: failed to \"KillPodSandbox\" for \"4e8c1a77\" with KillPodSandboxError: \"rpc error: code = Unknown desc = failed to destroy network for sandbox\""),
    Cause::new(AREA, "probe_startup", Warn, TemplateAuthor, "The startup probe fails")
        .on(&[PROBE.text(&["startup probe failed", "startup probe errored", "startup probe warning"])])
        .says("The program has not finished starting, says its startup check. Kubernetes restarts the container if it takes too long.", "Its own log may say why; the template's author can give it more time.")
        .seen("Unhealthy", "Startup probe failed: cat: can't open '/started': No such file or directory"),
    Cause::new(AREA, "probe_liveness", Warn, TemplateAuthor, "The liveness probe fails")
        .on(&[PROBE.text(&["liveness probe failed", "liveness probe errored", "liveness probe warning"])])
        .says("The program does not answer its liveness check. Kubernetes restarts the container if it goes on.", "Its own log may say why; the template's author can give it more time.")
        .seen("Unhealthy", "Liveness probe failed: Get \"http://10.88.0.84:13337/healthz\": dial tcp 10.88.0.84:13337: connect: connection refused"),
    Cause::new(AREA, "probe_readiness", Warn, TemplateAuthor, "The readiness probe fails")
        .on(&[PROBE.text(&["readiness probe"])])
        .says("The program is not ready yet, says its readiness check. The container goes on running.", "If it stays so, its own log may say why.")
        .seen("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500"),
    Cause::new(AREA, "probe", Warn, TemplateAuthor, "A probe fails")
        .on(&[PROBE.reason(&["Unhealthy", "ProbeError"])])
        .says("A check of the container failed.", "Its own log may say why.")
        .seen("Unhealthy", "probe errored"),
];
