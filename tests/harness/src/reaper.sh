# Outlives its owner and clears up after it. Told on stdin, one order a line:
#   process PID | forget-process PID    a process group to end
#   directory PATH | forget-directory PATH    a directory to remove
# The end of stdin means that the owner is gone, by whatever way.
trap '' INT TERM HUP QUIT PIPE
processes=' '
directories='
'
newline='
'
while read -r order what; do
    case $order in
    process) processes="$processes$what " ;;
    forget-process)
        case $processes in
        *" $what "*) processes="${processes%%" $what "*} ${processes#*" $what "}" ;;
        esac
        ;;
    directory) directories="$directories$what$newline" ;;
    forget-directory)
        case $directories in
        *"$newline$what$newline"*)
            directories="${directories%%"$newline$what$newline"*}$newline${directories#*"$newline$what$newline"}"
            ;;
        esac
        ;;
    esac
done

for pid in $processes; do
    kill -s TERM -- "-$pid" 2>/dev/null
done
left=$processes
rounds=0
# kill -s and not kill -TERM: only so do all shells take a group after --.
# Two seconds of grace, looked at ten times a second.
while [ -n "$left" ] && [ "$rounds" -lt 20 ]; do
    rounds=$((rounds + 1))
    still=
    for pid in $left; do
        kill -s 0 -- "-$pid" 2>/dev/null && still="$still $pid"
    done
    left=$still
    [ -z "$left" ] || sleep 0.1 2>/dev/null || sleep 1
done
for pid in $left; do
    kill -s KILL -- "-$pid" 2>/dev/null
done

IFS=$newline
set -f
for directory in $directories; do
    case $directory in
    */coder-logstream-test-*) rm -rf -- "$directory" ;;
    esac
done
