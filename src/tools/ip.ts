import type { Tool, ToolContext } from "./command.js";
import { notModelled, runCommand, ToolFailure } from "./failure.js";
import { ipAddrLabel } from "./ip-addrlabel.js";
import { ipAddress } from "./ip-address.js";
import type { IpContext } from "./ip-context.js";
import { ipLink } from "./ip-link.js";
import { ipMaddress } from "./ip-maddr.js";
import { ipNeighbour } from "./ip-neigh.js";
import { ipNetns } from "./ip-netns.js";
import { ipRoute } from "./ip-route.js";
import { ipRule } from "./ip-rule.js";
import { ipTuntap } from "./ip-tuntap.js";
import { abbreviates, Words } from "./words.js";

type IpObject = (words: Words, context: IpContext) => string;

/** What `ip` works on, in the order in which abbreviations are tried. */
const OBJECTS: readonly (readonly [string, IpObject])[] = [
  ["address", ipAddress],
  ["addrlabel", ipAddrLabel],
  ["route", ipRoute],
  ["rule", ipRule],
  ["neighbor", ipNeighbour],
  ["neighbour", ipNeighbour],
  ["link", ipLink],
  ["maddress", ipMaddress],
  ["netns", ipNetns],
  ["tuntap", ipTuntap],
];

/** The objects of the real tool that are not here, so that they are not taken for mistakes. */
const OTHER_OBJECTS: readonly string[] =
  "ntable ntbl l2tp fou ila macsec tunnel tunl tap token tcpmetrics monitor xfrm mroute mrule vrf sr nexthop mptcp ioam stats".split(
    " ",
  );

/** `ip` of iproute2 6.1: links, addresses, routes, rules, neighbours and namespaces. */
export const ip: Tool = {
  name: "ip",
  run: (args, context) => runCommand(() => runIp(args, context)),
};

function runIp(args: readonly string[], { sim, ns }: ToolContext): string {
  const words = new Words(args);
  let context: IpContext = {
    sim,
    nsName: ns,
    inetOnly: false,
    inet6Only: false,
    oneLine: false,
    brief: false,
    details: false,
  };
  while (words.peek()?.startsWith("-") === true) context = takeOption(words, context);
  const object = words.shift();
  if (object === undefined)
    throw new ToolFailure(255, "Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }\n");
  const found = OBJECTS.find(([name]) => abbreviates(object, name));
  if (found !== undefined) return found[1](words, context);
  if (OTHER_OBJECTS.includes(object)) throw notModelled("ip", `ip ${object}`);
  throw new ToolFailure(1, `Object "${object}" is unknown, try "ip help".\n`);
}

function takeOption(words: Words, context: IpContext): IpContext {
  const option = words.value().replace(/^--?/, "");
  switch (option) {
    case "n":
    case "netns":
      return { ...context, nsName: words.value() };
    case "4":
      return { ...context, inetOnly: true, inet6Only: false };
    case "6":
      return { ...context, inet6Only: true, inetOnly: false };
    case "o":
    case "oneline":
      return { ...context, oneLine: true };
    case "br":
    case "brief":
      return { ...context, brief: true };
    case "d":
    case "details":
      return { ...context, details: true };
    case "j":
    case "json":
    case "s":
    case "stats":
    case "b":
    case "batch":
    case "all":
    case "f":
    case "family":
      throw notModelled("ip", `option -${option}`);
    default:
      throw new ToolFailure(255, `Option "-${option}" is unknown, try "ip -help".\n`);
  }
}
