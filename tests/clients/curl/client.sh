#!/bin/sh
# Calls Pledgebook with `buf curl`, which asks the service's reflection what the messages are.
# Usage, from the project's root: client.sh URL KEY ERROR_DETAILS.binpb
set -eu
url=$1
key=$2
error_details=$3
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
answer=$work/answer
refusal=$work/refusal

# send SERVICE/METHOD REQUEST
send() {
    .ci/buf curl --protocol grpc --http2-prior-knowledge --emit-defaults \
        --header "authorization: Bearer $key" --data "$2" \
        "$url/pledgebook.v1.$1" >"$answer" 2>"$refusal"
}

call() {
    if ! send "$@"; then
        echo "$1 failed:" >&2
        cat "$refusal" >&2
        exit 1
    fi
}

# pick EXPRESSION
# What a JavaScript expression makes of `answer`.
pick() {
    node --print 'const answer = JSON.parse(require("fs").readFileSync(process.argv[1])); '"$1" \
        "$answer"
}

# expect WHAT FOUND EXPECTED
expect() {
    if [ "$2" != "$3" ]; then
        echo "$1: expected '$3', found '$2'" >&2
        exit 1
    fi
    echo "  $1: $2"
}

new_id() {
    node --print 'crypto.randomUUID()'
}

# Dinars have three decimals.
dinars() {
    printf '{"currencyCode":"KWD","amount":"%s"}' "$1"
}

deadline=$(node --print 'new Date(Date.now() + 30 * 24 * 3600e3).toISOString()')
call CampaignService/CreateCampaign '{
    "requestId": "'"$(new_id)"'",
    "displayName": "A press, bought from a shell",
    "currencyCode": "KWD",
    "terms": {
        "target": '"$(dinars 2000.000)"',
        "minimum": '"$(dinars 1000.000)"',
        "maximum": '"$(dinars 3000.000)"',
        "deadline": "'"$deadline"'",
        "feeBearer": "FEE_BEARER_UNDERWRITER",
        "feeBearerNote": "The printers"
    }
}'
campaign=$(pick answer.campaign.name)
for step in StartGathering StartPledging OpenCampaign; do
    call "CampaignService/$step" '{"requestId":"'"$(new_id)"'","name":"'"$campaign"'"}'
done
expect "the campaign's stage" "$(pick answer.campaign.stage)" CAMPAIGN_STAGE_OPEN

call MemberService/CreateMember '{
    "requestId": "'"$(new_id)"'",
    "campaign": "'"$campaign"'",
    "displayName": "Noor Haddad",
    "email": "noor@example.org"
}'
member=$(pick answer.member.name)
request='{
    "requestId": "'"$(new_id)"'",
    "member": "'"$member"'",
    "amount": '"$(dinars 250.125)"'
}'
call PledgeService/CreatePledge "$request"
expect 'the pledge is new' "$(pick answer.outcome.replayed)" false
pledge=$(pick answer.pledge.name)
change=$(pick answer.outcome.changeNumber)
call PledgeService/CreatePledge "$request"
expect 'the same request is replayed' "$(pick answer.outcome.replayed)" true
expect 'its pledge is the same' "$(pick "answer.pledge.name === '$pledge'")" true
expect 'its change is the same' "$(pick answer.outcome.changeNumber)" "$change"

call ReportService/GetCampaignProgress '{"campaign":"'"$campaign"'"}'
rung='answer.rows.filter(row => row.rung === "CERTAINTY_RUNG_PLEDGED").map(row =>
    [row.members, row.amount.currencyCode, row.amount.amount, row.minimumBasisPoints].join(" "))[0]'
expect 'the rung PLEDGED' "$(pick "$rung")" '1 KWD 250.125 2501'
call ReportService/GetTrialBalance '{"campaign":"'"$campaign"'"}'
rows='answer.rows.filter(row => row.book === "BOOK_MEMO").map(row => [row.code,
    row.closingDebit?.amount || "-", row.closingCredit?.amount || "-"].join(" ")).join(", ")'
expect 'the promises' "$(pick "$rows")" '9000 250.125 -, 9001 - 250.125'

call PledgeService/CancelPledge '{"requestId":"'"$(new_id)"'","name":"'"$pledge"'"}'
expect "the pledge's state" "$(pick answer.pledge.state)" PLEDGE_STATE_CANCELLED
status=0
send PledgeService/CancelPledge '{"requestId":"'"$(new_id)"'","name":"'"$pledge"'"}' || status=$?
# The gRPC code, eightfold: FAILED_PRECONDITION is 9.
expect 'the status of cancelling it again' "$status" 72
mv -- "$refusal" "$answer"
expect "the refusal's code" "$(pick answer.code)" failed_precondition
# buf leaves a detail as it came; Base64 without its padding is what Node decodes.
details='answer.details.filter(detail => detail.type === "google.rpc.ErrorInfo")'
node --eval 'const answer = JSON.parse(require("fs").readFileSync(process.argv[1]));
    process.stdout.write(Buffer.from('"$details"'[0].value, "base64"))' "$answer" |
    .ci/buf convert "$error_details" --type google.rpc.ErrorInfo \
        --from -#format=binpb --to -#format=json >"$work/info"
mv -- "$work/info" "$answer"
expect 'its domain' "$(pick answer.domain)" pledgebook
expect 'its reason' "$(pick answer.reason)" PLEDGE_STATE
expect 'the state that forbids it' "$(pick answer.metadata.state)" cancelled
