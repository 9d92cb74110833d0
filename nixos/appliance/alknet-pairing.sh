# Makes the code that the console shows. usage: alknet-pairing OWNER PORT SCOPE…
readonly owner=$1 port=$2 folder=${RUNTIME_DIRECTORY:-/run/alknet-pairing}
shift 2
umask 077

# In a network without a way out there is no default route to tell by which address the machine is reached; without any address there
# is the name that multicast DNS gives it.
address=$(ip -json -brief address show up scope global | jq --raw-output '
  [.[].addr_info[]?.local | strings] | (map(select(contains(":") | not)) + map(select(contains(":")) | "[\(.)]")) | first // empty')
scopes=()
for scope in "$@"; do scopes+=(--scope "$scope"); done
alknet invite "$owner" "${scopes[@]}" --address "${address:-$(uname -n).local}:$port" --expires 30d --qr --unless-joined >"$folder/new"
mv "$folder/new" "$folder/code"
