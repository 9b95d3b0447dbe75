import { sha1 } from "../../base/sha1.js";
import { base32 } from "../proxy/names.js";
import type { LineOrigin, RenderedText } from "../proxy/rendered-text.js";
import type { KubeRouterText } from "./kube-router.js";

/** What one sync of kube-router does after its first, in this order. */
export interface KubeRouterSync {
  /** For `ipset restore -exist`; empty when no policy has a set. */
  readonly ipset: RenderedText;
  /** For `iptables-restore --noflush`. */
  readonly iptables: RenderedText;
  /** Sets that no rule asks any more. */
  readonly destroyed: readonly string[];
}

/**
 * The way from one rendering to the next: every set is filled under another name and swapped, so that no packet meets a half
 * filled one; every chain is written anew under a new name and the old ones go, all in one commit.
 * Differs: kube-router writes the whole filter table, which sets the counters of other rules in it to 0.
 * Mirrors pkg/controllers/netpol/network_policy_controller.go:fullPolicySync().
 */
export function renderKubeRouterSync(
  before: KubeRouterText,
  after: KubeRouterText,
): KubeRouterSync {
  const old = setsOf(before.ipset);
  const sets = setsOf(after.ipset);
  return {
    ipset: setsText(sets, new Set(old.map(({ name }) => name))),
    iptables: chainsText(before.iptables, after.iptables),
    destroyed: old.map(({ name }) => name).filter((name) => sets.every((set) => set.name !== name)),
  };
}

interface SavedSet {
  readonly name: string;
  /** Behind the name, as `ipset save` reports it, `initval` left out. */
  readonly options: string;
  readonly entries: readonly string[];
  readonly origin: LineOrigin;
}

function setsOf({ text, origins }: RenderedText): readonly SavedSet[] {
  const sets: (SavedSet & { readonly entries: string[] })[] = [];
  const lines = text.split("\n");
  for (const [index, origin] of origins.entries()) {
    const [, word = "", name = "", rest = ""] = /^(\S+) (\S+) (.*)$/.exec(lines[index] ?? "") ?? [];
    if (word === "create")
      sets.push({ name, options: rest.replace(/ initval \S+/, ""), entries: [], origin });
    else sets.at(-1)?.entries.push(rest);
  }
  return sets;
}

/** A set that exists is asked for with the options it has; a new one with kube-router's own. */
function setsText(sets: readonly SavedSet[], existing: ReadonlySet<string>): RenderedText {
  const lines: string[] = [];
  const origins: LineOrigin[] = [];
  const temporary = new Set<string>();
  const write = (origin: LineOrigin, ...texts: readonly string[]): void => {
    for (const text of texts) {
      lines.push(`${text}\n`);
      origins.push(origin);
    }
  };
  for (const { name, options, entries, origin } of sets) {
    const asked = existing.has(name) ? options : `${options.split(" ", 1)[0] ?? ""} timeout 0`;
    const tmp = temporaryName(asked);
    if (!temporary.has(tmp)) write(origin, `create ${tmp} ${asked}`, `flush ${tmp}`);
    temporary.add(tmp);
    write(origin, ...entries.map((entry) => `add ${tmp} ${entry}`));
    write(origin, `create ${name} ${asked}`, `swap ${tmp} ${name}`, `flush ${tmp}`);
  }
  const [first] = sets;
  if (first !== undefined) write(first.origin, ...[...temporary].map((tmp) => `destroy ${tmp}`));
  return { text: lines.join(""), origins };
}

/** Mirrors pkg/utils/ipset.go:BuildIPSetRestore(). */
export function temporaryName(options: string): string {
  const digest = sha1(new TextEncoder().encode(`tmp:${options}`));
  return `TMP-${base32(digest.subarray(0, 10), 16)}`;
}

/** Jumps of built-in chains are there already; the chains of the sync before are flushed and deleted. */
function chainsText(before: RenderedText, after: RenderedText): RenderedText {
  const stale = chainsIn(before).filter((chain) => !chainsIn(after).includes(chain));
  const lines = after.text.split("\n");
  const kept = after.origins.flatMap((origin, index) => {
    const text = lines[index] ?? "";
    return /^:(?:INPUT|FORWARD|OUTPUT) |^-I /.test(text) ? [] : [{ text, origin }];
  });
  const gone: LineOrigin = { by: "kube-router", objects: [], why: "a chain of the sync before" };
  const of = (texts: readonly string[]): typeof kept =>
    texts.map((text) => ({ text, origin: gone }));
  const firstRule = kept.findIndex(({ text }) => text.startsWith("-"));
  const all = [
    ...kept.slice(0, firstRule),
    ...of(stale.map((chain) => `:${chain} - [0:0]`)),
    ...kept.slice(firstRule, -1),
    ...of(stale.map((chain) => `-X ${chain}`)),
    ...kept.slice(-1),
  ];
  return {
    text: all.map(({ text }) => `${text}\n`).join(""),
    origins: all.map(({ origin }) => origin),
  };
}

function chainsIn({ text }: RenderedText): readonly string[] {
  return [...text.matchAll(/^:(\S+) - /gm)].map(([, chain = ""]) => chain);
}
