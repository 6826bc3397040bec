# Process 1 of a lab's namespace: bash -c SCRIPT lab FOLDER ADDRESS...
#
# It makes the network and the few files of /etc that programs inside must see, prints its process
# id as the machine sees it, and then waits for the end of its standard input, which the test process
# holds open. However the test process ends, that end comes; then everything inside is killed and the
# folder removed.
set -eu
read -r outer_pid _ < /proc/self/stat
mount -t proc proc /proc

folder=$1
shift
ip link set lo up
for address in "$@"; do echo "address add $address/32 dev lo"; done | ip -batch -
hostname lab
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start

# /etc/resolv.conf may be a link into /run.
resolv_conf=$(readlink -m /etc/resolv.conf)
mount -t tmpfs tmpfs /run
mkdir -p /run/sshd /run/unconfined
# Where AppArmor is on, it keeps these two in folders of their own, by the path of the program.
for name in named unbound; do
  if path=$(type -P "$name"); then cp "$path" /run/unconfined/; fi
done
case $resolv_conf in /run/*) mkdir -p "${resolv_conf%/*}" && : > "$resolv_conf" ;; esac
mount --bind "$folder/etc/resolv.conf" "$resolv_conf"
for file in hosts passwd group nsswitch.conf ssh/ssh_config; do
  if [ -e "/etc/$file" ]; then mount --bind "$folder/etc/${file##*/}" "/etc/$file"; fi
done
mount --bind "$folder/git" /srv

echo "$outer_pid"
while read -r _; do :; done

for _ in {1..200}; do
  kill -KILL -1 2> /dev/null || break
  sleep 0.01
done
rm -rf "$folder"
