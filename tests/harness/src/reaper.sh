# Outlives its owner and cleans up after it. Reads one command per line from stdin:
#   process PID | forget-process PID    a process group to end
#   directory PATH | forget-directory PATH    a directory to remove
# EOF on stdin means that the owner has ended.
trap '' INT TERM HUP QUIT PIPE
processes=' '
directories='
'
newline='
'
while read -r command what; do
    case $command in
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
# kill -s rather than kill -TERM, because not all shells accept a process group after -- otherwise.
# Two seconds of grace, checked ten times a second.
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
