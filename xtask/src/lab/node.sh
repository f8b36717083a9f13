# The first process of a node: makes its mounts, then starts its engine and waits for it. Everything of
# the node is below this process and inside its namespaces, so that nothing outlives it.
#
#   node.sh LAB-FOLDER NODE-FOLDER HOST-NAME ENGINE…
set -e
lab=$1 folder=$2 name=$3
shift 3

mount -t proc proc /proc
# Overlay networks need a /sys of the node's own network namespace, which hides the control groups
# without which an engine does not start: they are put back.
mount --rbind /sys/fs/cgroup "$folder/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$folder/cgroup" /sys/fs/cgroup
umount --lazy "$folder/cgroup"

# Without a name server that refuses at once, an engine tries for half a minute to pull each image.
resolv=$(readlink --canonicalize-missing /etc/resolv.conf)
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p "${resolv%/*}"
[ -e "$resolv" ] || : > "$resolv"
mount --bind "$folder/resolv.conf" "$resolv"
hostname "$name"

if [ -d "$folder/gluster" ]; then
    mkdir -p "$folder/gluster/state" "$folder/gluster/log" "$folder/gluster/brick"
    mount --bind "$folder/gluster/state" /var/lib/glusterd
    mount --bind "$folder/gluster/log" /var/log/glusterfs
    glusterd --no-daemon &
    # A container that is started again must find the volume, and not the folder below it.
    if [ -e "$lab/gluster.formed" ]; then
        tries=0
        until mount -t glusterfs "localhost:/$LAB_GLUSTER_VOLUME" "$lab/volume"; do
            tries=$((tries + 1))
            [ "$tries" -lt 60 ]
            sleep 0.5
        done
    fi
fi

"$@" &
wait $!
