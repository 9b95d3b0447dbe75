import { type MatchExtension, defineMatch } from "../extension.js";
import { parseNumber } from "../numbers.js";
import { flag, option, type OptionUse } from "../options.js";
import { refuse } from "../refusal.js";
import { formatFlag, formatTest, inRange, type Negatable, type Range } from "../values.js";

interface Owner {
  readonly exists: { readonly invert: boolean } | undefined;
  readonly uid: Negatable<Range> | undefined;
  readonly gid: Negatable<Range> | undefined;
  readonly supplementary: boolean;
}

/** The users and groups that every Debian has, by their fixed numbers. */
const USERS: ReadonlyMap<string, number> = new Map([
  ["root", 0],
  ["daemon", 1],
  ["bin", 2],
  ["sys", 3],
  ["sync", 4],
  ["games", 5],
  ["man", 6],
  ["lp", 7],
  ["mail", 8],
  ["news", 9],
  ["uucp", 10],
  ["proxy", 13],
  ["www-data", 33],
  ["backup", 34],
  ["list", 38],
  ["irc", 39],
  ["nobody", 65_534],
]);
const GROUPS: ReadonlyMap<string, number> = new Map([
  ["root", 0],
  ["daemon", 1],
  ["bin", 2],
  ["sys", 3],
  ["adm", 4],
  ["tty", 5],
  ["disk", 6],
  ["lp", 7],
  ["mail", 8],
  ["news", 9],
  ["uucp", 10],
  ["man", 12],
  ["proxy", 13],
  ["www-data", 33],
  ["backup", 34],
  ["nogroup", 65_534],
]);

const UID = option("uid-owner", readIds(USERS), { not: true });
const GID = option("gid-owner", readIds(GROUPS), { not: true });
const EXISTS = flag("socket-exists", { not: true });
const SUPPL = flag("suppl-groups", { needs: ["gid-owner"] });

/** `-m owner`: who sent the packet. The groups of other users than root are known only where somebody told them. */
export const owner: MatchExtension = defineMatch<Owner>({
  name: "owner",
  mirrors: "net/netfilter/xt_owner.c:owner_mt()",
  fidelity: "exact",
  examples: [
    "--uid-owner 0 --gid-owner 1",
    "! --uid-owner 1000-2000",
    "! --socket-exists",
    "--gid-owner 5 --suppl-groups",
  ],
  options: [UID, GID, EXISTS, SUPPL],
  only: { hooks: ["OUTPUT", "POSTROUTING"] },
  check(args) {
    if (args.all.length === 0)
      throw refuse(
        "owner: At least one of --uid-owner, --gid-owner or --socket-exists is required",
      );
  },
  parse: (args) => ({
    exists: args.get(EXISTS),
    uid: args.get(UID),
    gid: args.get(GID),
    supplementary: args.has(SUPPL),
  }),
  format: ({ exists, uid, gid, supplementary }) =>
    [
      ...formatFlag("socket-exists", exists),
      ...formatTest("uid-owner", uid, formatIds),
      ...formatTest("gid-owner", gid, formatIds),
      ...(supplementary ? ["--suppl-groups"] : []),
    ].join(" "),
  refuses: ({ uid, gid }) =>
    [uid, gid].some((test) => test !== undefined && test.value.high < test.value.low)
      ? "Invalid argument"
      : undefined,
  matches({ exists, uid, gid, supplementary }, skb) {
    const { socket } = skb;
    if (socket === undefined || socket.holder === "orphan")
      return (
        !supplementary && [exists, uid, gid].every((test) => test === undefined || test.invert)
      );
    if (exists?.invert === true) return false;
    if (socket.holder === "kernel")
      return [uid, gid].every((test) => test === undefined || test.invert);
    if (uid !== undefined && inRange(socket.uid, uid.value) === uid.invert) return false;
    if (gid === undefined) return true;
    if (socket.gid === undefined) return "unknown";
    const groups = [socket.gid, ...(supplementary ? (socket.groups ?? []) : [])];
    return groups.some((group) => inRange(group, gid.value)) !== gid.invert;
  },
  why: ({ gid }, { socket }) => {
    if (socket === undefined) return "packet has no socket";
    if (socket.holder !== "program") return "packet is not of a program";
    if (gid === undefined) return `packet is of user ${socket.uid}`;
    return socket.gid === undefined
      ? `the group of user ${socket.uid} is not known`
      : `packet is of user ${socket.uid}, group ${socket.gid}`;
  },
});

function formatIds({ low, high }: Range): string {
  return low === high ? String(low) : `${low}-${high}`;
}

function readIds(names: ReadonlyMap<string, number>): (text: string, use: OptionUse) => Range {
  return (text, { owner: module, option: name }) => {
    const named = names.get(text);
    if (named !== undefined) return { low: named, high: named };
    const [first = "", second] = text.split("-");
    const low = parseNumber(first, 0, 0xffff_fffe);
    const high = second === undefined ? low : parseNumber(second, 0, 0xffff_fffe);
    if (low === undefined || high === undefined)
      throw refuse(`${module}: Bad value for "--${name}" option: "${text}"`);
    return { low, high };
  };
}
