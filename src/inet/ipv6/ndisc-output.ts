import type { NetDevice } from "../../core/device.js";
import type { SkBuff } from "../../core/skbuff.js";
import { NDISC_NEIGHBOUR_ADVERTISEMENT, NDISC_NEIGHBOUR_SOLICITATION } from "../../wire/icmpv6.js";
import { IPV6_ANY, type Ipv6, solicitedNode } from "../../wire/ip.js";
import {
  encodeNdisc,
  linkLayerOption,
  NA_OVERRIDE,
  NA_ROUTER,
  NA_SOLICITED,
  ND_OPT_NONCE,
  ND_OPT_SOURCE_LL_ADDR,
  ND_OPT_TARGET_LL_ADDR,
  type NdOption,
} from "../../wire/ndisc.js";
import type { Neighbour } from "../neighbour-entry.js";
import { neighbourParms6 } from "../neighbour-parms.js";
import { isOwnAddress6, linkLocalAddress } from "./addresses.js";
import { devConf6 } from "./devconf.js";
import { sendLinkMessage } from "./link-message.js";
import { selectSource6 } from "./source-selection.js";

export interface Solicitation {
  readonly dev: NetDevice;
  readonly target: Ipv6;
  readonly destination: Ipv6;
  readonly source: Ipv6;
  readonly nonce?: Uint8Array | undefined;
  readonly cause: SkBuff | undefined;
}

/** Mirrors net/ipv6/ndisc.c:ndisc_send_ns(). */
export function sendSolicitation(ask: Solicitation): void {
  const { dev, target, destination, source, nonce } = ask;
  const options: NdOption[] = [];
  if (source !== IPV6_ANY) options.push(linkLayerOption(ND_OPT_SOURCE_LL_ADDR, dev.mac));
  if (nonce !== undefined) options.push({ type: ND_OPT_NONCE, body: nonce });
  sendLinkMessage({
    dev,
    source,
    destination,
    hopLimit: 255,
    header: { kind: "icmpv6", type: NDISC_NEIGHBOUR_SOLICITATION, code: 0, rest: 0 },
    payload: encodeNdisc(target, options),
    by: "neighbour solicitation",
    cause: ask.cause,
  });
}

export interface Advertisement {
  readonly dev: NetDevice;
  readonly destination: Ipv6;
  readonly target: Ipv6;
  readonly solicited: boolean;
  readonly override: boolean;
  /** The one that has the address forwards. */
  readonly router: boolean;
  /** Tell the link-layer address. */
  readonly withAddress: boolean;
  readonly cause: SkBuff | undefined;
}

/** From the target itself where it is ours. Mirrors net/ipv6/ndisc.c:ndisc_send_na(). */
export function sendAdvertisement(answer: Advertisement): void {
  const { dev, destination, target, solicited, override, router } = answer;
  const ours = isOwnAddress6(dev.ns, target, dev, true);
  const source = ours ? target : selectSource6(dev.ns, dev, destination);
  if (source === undefined) return;
  const flags =
    (router ? NA_ROUTER : 0) + (solicited ? NA_SOLICITED : 0) + (override ? NA_OVERRIDE : 0);
  const withAddress = answer.withAddress || devConf6(dev).force_tllao !== 0;
  sendLinkMessage({
    dev,
    source,
    destination,
    hopLimit: 255,
    header: { kind: "icmpv6", type: NDISC_NEIGHBOUR_ADVERTISEMENT, code: 0, rest: flags },
    payload: encodeNdisc(
      target,
      withAddress ? [linkLayerOption(ND_OPT_TARGET_LL_ADDR, dev.mac)] : [],
    ),
    by: "neighbour advertisement",
    cause: answer.cause,
  });
}

/** Asks for a neighbour: its group at first, itself later. Mirrors net/ipv6/ndisc.c:ndisc_solicit(). */
export function ndiscSolicit(neighbour: Neighbour<Ipv6>, trigger: SkBuff | undefined): void {
  const { dev, address, probes } = neighbour;
  const { ucast_solicit: unicast, app_solicit: application } = neighbourParms6(dev).values;
  const toKnown = probes < unicast;
  if (!toKnown && probes < unicast + application) return;
  const network = trigger?.frame.network;
  const source =
    network?.kind === "ipv6" && isOwnAddress6(dev.ns, network.source, dev)
      ? network.source
      : linkLocalAddress(dev);
  if (source === undefined) return;
  sendSolicitation({
    dev,
    target: address,
    destination: toKnown ? address : solicitedNode(address),
    source,
    cause: trigger,
  });
}
