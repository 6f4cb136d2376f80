"""Messages of vLLM's that state a duration, but none of a start: of timeouts, retries, requests.

A line with one of these is passed over; any other one that states a duration and is in no known wording is
reported as unread.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple


class OtherDuration(NamedTuple):
    """What a message begins with, as a pattern, and what its duration is instead."""

    pattern: str
    why: str


OTHER_DURATIONS: Final[Sequence[OtherDuration]] = (
    OtherDuration(r"(?:Added|Received) request ", "what a user wrote"),
    OtherDuration(r"(?:Engine \d+: ?)?Iteration\(\d+\): ", "a step of serving"),
    OtherDuration(r"GC took ", "a garbage collection"),
    OtherDuration(r"Health check took ", "a request"),
    OtherDuration(r"Batchsize forward time stats ", "serving, in sum"),
    OtherDuration(r"SpecDecodeWorker stage times: ", "serving, in sum"),
    OtherDuration(r"Audio duration exceeds max: ", "the length of a recording"),
    OtherDuration(r"ROCm segmented attention autotune: ", "one run of a kernel"),
    OtherDuration(r"\S+ ran in ", "one run of a kernel"),
    OtherDuration(r"It will take ~", "a guess"),
    OtherDuration(r"Preparing model with INC took ", "memory"),
    OtherDuration(r"Waiting (?:up to|for) ", "a limit of a wait"),
    OtherDuration(
        r"\[?(?:FT\] )?No (?:recovery within|available (?:shared memory broadcast )?block found)", "a wait"
    ),
    OtherDuration(r"HTTP fetch failed for ", "the time until a retry"),
    OtherDuration(r"Failed to upload data ", "the time until a retry"),
    OtherDuration(r"Bootstrap (?:registration attempt|query to) ", "the time until a retry"),
    OtherDuration(r"Media cache enabled at ", "how long something is kept"),
    OtherDuration(
        r"It took [\d.]+ seconds to (?:fall asleep|wake up|discard)", "sleep mode, after the start"
    ),
    OtherDuration(r"Reloading and processing weights took ", "new weights, after the start"),
    OtherDuration(r"RDT stall: ", "new weights, after the start"),
    OtherDuration(r"Sharded RDT dry-run baked ", "new weights, after the start"),
    OtherDuration(r"Rearranged experts(?: {1,3}| *\([^p][^)]*\) *)in ", "a rebalancing, after the start"),
    OtherDuration(r"HiSparse: unpinned ", "an end"),
    OtherDuration(r"Draining \d+ in-flight requests ", "the limit of an end"),
    OtherDuration(r"DP server \S+ did not exit within ", "the limit of an end"),
    OtherDuration(r"Warning: Queue still has ", "the limit of an end"),
    OtherDuration(r"\S+\.drain_jobs: still draining after ", "the limit of an end"),
    OtherDuration(r"KV offload tier-poll thread ", "serving"),
    OtherDuration(r"KV offloading: workers have not reported ", "serving"),
    OtherDuration(r"P2P(?:Session)? ", "a transfer of a request's"),
    OtherDuration(r"EC (?:\S+: \d+ entr|Mooncake waited )", "a transfer of a request's"),
    OtherDuration(r"[A-Za-z]+ \S+: \d+ blocks in ", "a transfer of a request's"),
    OtherDuration(r"Sending to .* (?:done, took |failed )", "a transfer of a request's"),
    OtherDuration(r"Request \S+ timed out after ", "a request's timeout"),
    OtherDuration(r"(?:MoRIIO|NIXL) handshake: ", "a request's first transfer"),
    OtherDuration(r"Reaped \d+ deferred sends ", "a request's timeout"),
    OtherDuration(r"RDMA read TIMED OUT ", "a request's timeout"),
    OtherDuration(r"Deferred write task for request ", "a request's timeout"),
    OtherDuration(r"Evicted stale remote engine ", "a transfer's timeout"),
    OtherDuration(r"Bidirectional KV transfer is enabled ", "how long something is kept"),
    OtherDuration(r"Releasing expired KV blocks for request ", "a request's timeout"),
    OtherDuration(r"Heartbeat extended lease for request ", "a request's timeout"),
    OtherDuration(r"(?:NIXLConnector |NixlPushConnector|_do_start_push_kv )", "a transfer of a request's"),
    OtherDuration(r"\S{0,8}\[PUT(?:_ASYNC)?\](?:It took|Recv From) ", "a transfer of a request's"),
)
