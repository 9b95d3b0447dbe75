import type { Mac } from "../wire/ip.js";
import { notModelled, ToolFailure } from "./failure.js";
import { checkDeviceName, readMac } from "./ip-context.js";
import { abbreviates, garbage, parseNumber, Words, wrongArgument } from "./words.js";

/** What `ip link add`, `ip link set` and the peer of a veth may be told. Mirrors iproute2's iplink_parse(). */
export interface LinkArgs {
  name?: string;
  newName?: string;
  mac?: Mac;
  mtu?: number;
  netns?: string;
  up?: boolean;
  arp?: boolean;
  /** The device that a new one is made on. */
  link?: string;
  promisc?: boolean;
  allmulti?: boolean;
  /** A number, or the one name that /etc/iproute2/group has: `default`. */
  group?: number;
  /** A device's name; an empty one takes the master away. */
  master?: string;
  type?: string;
  /** What follows the type. */
  typeWords?: Words;
}

/** Real words of the tool that would change what a link does and are not modelled. */
const OTHER_WORDS: readonly string[] =
  "index broadcast brd multicast trailers alias mode state numtxqueues numrxqueues link-netns link-netnsid vf xdp xdpgeneric addrgenmode protodown carrier gso_max_size parentdev".split(
    " ",
  );

/** Reads attributes up to the end, or to the words of a type. For `set`, `name` means the new name. */
export function parseLinkArgs(words: Words, forSet: boolean): LinkArgs {
  const args: LinkArgs = {};
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "up") args.up = true;
    else if (word === "down") args.up = false;
    else if (word === "name" && forSet) args.newName = checkDeviceName(words.value(), "name");
    else if (word === "name") args.name = checkDeviceName(words.value(), "name");
    else if (word === "mtu") args.mtu = words.number("mtu", 0, 0xffff_ffff);
    else if (word === "netns") args.netns = words.value();
    else if (word === "master") args.master = words.value();
    else if (word === "nomaster") args.master = "";
    else if (word === "arp") args.arp = readArp(words);
    else if (word === "promisc") args.promisc = readSwitch(words, word);
    else if (word === "allmulticast") args.allmulti = readSwitch(words, word);
    else if (word === "group") args.group = readGroup(words.value());
    // The length of a queue that is never full.
    else if (word === "txqueuelen" || word === "qlen" || word === "txqlen")
      words.number(word, 0, 0xffff_ffff);
    else if (word === "link" && !forSet) args.link = words.value();
    else if (abbreviates(word, "address")) args.mac = readMac(words.value());
    else if (abbreviates(word, "type")) {
      args.type = words.value();
      args.typeWords = new Words(words.rest());
    } else if (OTHER_WORDS.includes(word))
      throw notModelled("ip", `ip link ${forSet ? "set" : "add"} … ${word}`);
    else {
      const name = word === "dev" ? words.value() : word;
      if (args.name !== undefined) throw garbage("dev", name);
      args.name = checkDeviceName(name, "dev");
    }
  }
  return args;
}

/** Mirrors iproute2's rtnl_group_a2n(). */
function readGroup(text: string): number {
  if (text === "default") return 0;
  const group = parseNumber(text);
  if (group === undefined || group > 0x7fff_ffff)
    throw wrongArgument(text, 'Invalid "group" value\n');
  return group;
}

/** Mirrors iproute2's on_off(). */
function readSwitch(words: Words, key: string): boolean {
  const word = words.value();
  if (word === "on" || word === "off") return word === "on";
  throw new ToolFailure(1, `Error: argument of "${key}" must be "on" or "off", not "${word}"\n`);
}

function readArp(words: Words): boolean {
  const word = words.value();
  if (word === "on" || word === "off") return word === "on";
  throw new ToolFailure(1, `Error: argument of "arp" must be "on" or "off", not "${word}"\n`);
}
