import { UserError } from "../../base/errors.js";
import type { Recording } from "../../core/recording.js";
import type { PacketStamp } from "../../core/trace.js";
import { isLinkTalk } from "../../wire/icmpv6.js";
import { formatIp, parseIpv4, parseIpv6 } from "../../wire/ip.js";
import { parseSource } from "../endpoints.js";
import type { TraceRequest } from "../trace.js";
import type { World } from "../world.js";
import { chanceOf, TowardsAddress } from "./decisions.js";

/** How many seeds are tried where no rule can be told the way: DNS shuffles its answers. */
const SEEDS_TRIED = 200;

interface Wanted {
  /** Of each family one. */
  readonly addresses: readonly string[];
  /** Where it must arrive; undefined where only the address is known. */
  readonly ns: string | undefined;
}

/**
 * Sends the request so that it comes to one endpoint: rules that decide by chance are told the way; failing that, seeds are
 * tried. Throws UserError when it never comes there. `send` sends a request that asks for no endpoint.
 */
export function traceTowards(
  world: World,
  request: TraceRequest,
  endpoint: string,
  send: (request: TraceRequest) => Recording,
): Recording {
  const wanted = wantedIn(world, endpoint);
  const decider = new TowardsAddress(wanted.addresses);
  const told = send({ ...request, endpoint: undefined, decider });
  if (reaches(told, wanted)) {
    const { made } = decider;
    const chance = `${endpoint} is chosen by --endpoint; by chance it has ${chanceText(chanceOf(made))}`;
    return made.length === 0 ? told : { ...told, notes: [...told.notes, chance] };
  }
  const choosesByName = told.lookup !== undefined && !told.lookup.means?.startsWith("Service ");
  const tries = choosesByName ? SEEDS_TRIED : 0;
  for (let seed = request.seed; seed < request.seed + tries; seed++) {
    const recording = send({ ...request, endpoint: undefined, seed });
    if (reaches(recording, wanted))
      return { ...recording, notes: [...recording.notes, `seed ${seed} draws ${endpoint}`] };
  }
  throw new UserError("ENDPOINT_NEVER", `this request never comes to ${endpoint}`, {
    help: "is it a ready endpoint of the Service? hopwise show endpoints lists them",
  });
}

/** `50%`, `33.3%`. */
export function chanceText(chance: number): string {
  const percent = chance * 100;
  return `${Number.isInteger(percent) ? percent : percent.toFixed(percent < 0.1 ? 4 : 1)}%`;
}

function wantedIn(world: World, endpoint: string): Wanted {
  const address = parseIpv4(endpoint) ?? parseIpv6(endpoint);
  if (world.kind !== "cluster") {
    if (address === undefined)
      throw new UserError("ENDPOINT_POD", `"${endpoint}" is not an address`, {
        help: "without Kubernetes objects an endpoint is named by its address: --endpoint 10.244.2.5",
      });
    return { addresses: [endpoint], ns: undefined };
  }
  const wanted = parseSource(endpoint, world.cluster, world.name);
  if (wanted.kind === "inside") return { addresses: wanted.addresses.map(formatIp), ns: wanted.ns };
  throw new UserError("ENDPOINT_POD", `"${endpoint}" is not a pod`);
}

/** Whether the request came there, or would have: its destination was rewritten to it on the way to a drop. */
function reaches({ events }: Recording, { addresses, ns }: Wanted): boolean {
  const first = events.find((event) => event.kind === "born" && isRequest(event));
  return events.some((event) => {
    if (event.kind === "delivered" && event.to.startsWith("socket") && event.ns === ns) return true;
    if (!("packet" in event) || first === undefined || !("packet" in first)) return false;
    const { network } = event.frame;
    return (
      event.packet === first.packet &&
      (network?.kind === "ipv4" || network?.kind === "ipv6") &&
      addresses.includes(formatIp(network.destination))
    );
  });
}

/** What finds neighbours is no request. */
function isRequest({ frame: { network, transport } }: PacketStamp): boolean {
  return (
    network?.kind === "ipv4" ||
    (network?.kind === "ipv6" && !(transport?.kind === "icmpv6" && isLinkTalk(transport.type)))
  );
}
