import type { Simulation } from "../../core/simulation.js";
import { microseconds } from "../../sim/time.js";
import type { DnsMessage } from "../../wire/dns-message.js";
import type { DnsAnswer } from "./dns-server.js";
import type { Client } from "./plugin.js";
import { noUpstream, type Upstream, type UpstreamReply, type UpstreamRequest } from "./upstream.js";
import type { WorldResolver } from "./world-resolver.js";

/** Asks the server that forwards: what it sends to its own address comes back to it. */
export type AskSelf = (
  message: DnsMessage,
  client: Client,
  respond: (answer: DnsAnswer) => void,
  port: number,
) => void;

/** Reaches the resolvers of a world without a network, and the server itself: for a server that stands alone. */
export function worldUpstream(
  sim: Simulation,
  resolvers: readonly WorldResolver[],
  isSelf: (address: string) => boolean,
  askSelf: AskSelf,
): Upstream {
  return {
    exchange(request, then) {
      const [, address = "", port = "53"] = /^(.*):(\d+)$/.exec(request.server) ?? [];
      const resolver = resolvers.find((one) => `${one.address}:53` === request.server);
      if (resolver === undefined && !isSelf(address)) return noUpstream.exchange(request, then);
      const once = timed(sim, request, then);
      if (resolver !== undefined) {
        const answer = resolver.ask(request.message);
        if (answer.kind !== "drop") once(answer);
        return;
      }
      const own = address.startsWith("127.") ? "127.0.0.1" : address;
      const client: Client = { address: own, port: 40_000, proto: request.proto };
      sim.queue.after(microseconds(0), "dns to itself", () =>
        askSelf(request.message, client, (answer) => once(replyOf(answer)), Number(port)),
      );
    },
  };
}

function replyOf({ replies, unknown }: DnsAnswer): UpstreamReply {
  const [reply] = replies;
  if (unknown !== undefined) return { kind: "unknown", reason: unknown };
  if (reply === undefined) return { kind: "error", text: "no reply" };
  return { kind: "reply", message: reply.message };
}

/** Hands on the first reply, or the timeout when none comes. */
function timed(
  sim: Simulation,
  request: UpstreamRequest,
  then: (reply: UpstreamReply) => void,
): (reply: UpstreamReply) => void {
  let done = false;
  const finish = (reply: UpstreamReply): void => {
    if (done) return;
    done = true;
    timer.cancel();
    then(reply);
  };
  const timer = sim.queue.after(request.timeout, `dns answer of ${request.server}`, () =>
    finish({ kind: "error", text: `read ${request.proto} ${request.server}: i/o timeout` }),
  );
  return finish;
}
