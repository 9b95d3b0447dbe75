import type { Draft, DraftCommand } from "./draft.js";

/** Whether a draft still shows what is looked for. */
export type Shows = (draft: Draft) => Promise<boolean>;

/** Candidates that are tried at once. */
const atOnce = 8;

/**
 * Leaves out whatever is not needed for `shows` to hold: halves first, then single pieces, until nothing more goes.
 * The result shows it too.
 */
export async function shrink(draft: Draft, shows: Shows): Promise<Draft> {
  let best = draft;
  for (let round = 0; round < 4; round++) {
    const before = JSON.stringify(best);
    for (const parts of [probes, rules, commands, listeners, spaces])
      best = await shrinkPart(best, parts, shows);
    if (JSON.stringify(best) === before) break;
  }
  return best;
}

/** One kind of piece: how many there are, and the draft without those of a range. */
interface Part {
  count(draft: Draft): number;
  without(draft: Draft, from: number, to: number): Draft;
}

async function shrinkPart(draft: Draft, part: Part, shows: Shows): Promise<Draft> {
  let best = draft;
  for (let size = Math.max(Math.floor(part.count(best) / 2), 1); ; size = Math.floor(size / 2)) {
    best = await removeRanges(best, part, size, shows);
    if (size <= 1) return best;
  }
}

async function removeRanges(draft: Draft, part: Part, size: number, shows: Shows): Promise<Draft> {
  let best = draft;
  let end = part.count(best);
  while (end > 0) {
    const candidates = Array.from({ length: atOnce }, (_, index) => end - index * size)
      .filter((to) => to > 0)
      .map((to) => ({ to, draft: part.without(best, Math.max(to - size, 0), to) }));
    const shown = await Promise.all(candidates.map((candidate) => shows(candidate.draft)));
    const first = candidates.find((_, index) => shown[index] === true);
    if (first !== undefined) best = first.draft;
    end = first === undefined ? end - candidates.length * size : first.to - size;
  }
  return best;
}

function cut<T>(list: readonly T[], from: number, to: number): readonly T[] {
  return [...list.slice(0, from), ...list.slice(to)];
}

const probes: Part = {
  count: (draft) => draft.probes.length,
  without: (draft, from, to) => ({ ...draft, probes: cut(draft.probes, from, to) }),
};

const listeners: Part = {
  count: (draft) => draft.listen.length,
  without: (draft, from, to) => ({ ...draft, listen: cut(draft.listen, from, to) }),
};

const commands: Part = {
  count: (draft) => draft.commands.length,
  without: (draft, from, to) => ({ ...draft, commands: cut(draft.commands, from, to) }),
};

/** The rules of all rulesets and the elements of all sets, counted on. */
const rules: Part = {
  count: (draft) =>
    draft.commands.reduce((sum, command) => sum + (command.rules ?? []).filter(isRule).length, 0),
  without: (draft, from, to) => {
    let at = 0;
    return {
      ...draft,
      commands: draft.commands.map((command): DraftCommand => {
        if (command.rules === undefined) return command;
        const kept = command.rules.filter((line) => {
          if (!isRule(line)) return true;
          const index = at++;
          return index < from || index >= to;
        });
        return { ...command, rules: tidy(kept) };
      }),
    };
  },
};

/** A namespace with its links and everything that happens in it. */
const spaces: Part = {
  count: (draft) => draft.namespaces.length,
  without: (draft, from, to) => {
    const gone = new Set(draft.namespaces.slice(from, to));
    const isGone = (end: string): boolean => gone.has(end.slice(0, end.indexOf(":")));
    return {
      ...draft,
      namespaces: draft.namespaces.filter((ns) => !gone.has(ns)),
      links: draft.links.filter(([a, b]) => !isGone(a) && !isGone(b)),
      commands: draft.commands.filter(({ ns }) => !gone.has(ns)),
      listen: draft.listen.filter(({ ns }) => !gone.has(ns)),
      probes: draft.probes.filter(({ from: ns }) => !gone.has(ns)),
    };
  },
};

function isRule(line: string): boolean {
  return /^(?:-A|add) /.test(line);
}

/** Without user chains that no rule names. */
function tidy(lines: readonly string[]): readonly string[] {
  const words = new Set(lines.filter(isRule).flatMap((line) => line.split(" ")));
  return lines.filter((line) => {
    const chain = /^:(\S+) -/.exec(line)?.[1];
    return chain === undefined || words.has(chain);
  });
}
