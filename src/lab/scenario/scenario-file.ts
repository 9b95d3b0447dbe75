import { throwCollected, UserError } from "../../base/errors.js";
import { isMapping } from "../../kube/load/check.js";
import { parseDocuments } from "../../kube/load/documents.js";
import { type FieldPath, SourceText } from "../../kube/load/source-text.js";
import type { InputText } from "../../kube/load.js";
import { microseconds } from "../../sim/time.js";
import { FieldReader } from "./field-reader.js";
import { ActionReader } from "./read-action.js";
import { readExpectation } from "./read-expectation.js";
import type { Scenario, ScenarioSettings, ScenarioStep } from "./scenario.js";

/** How many steps one file may have. */
export const STEPS_LIMIT = 1_000;

const TOP_KEYS = ["scenario", "about", "world", "seed", "settings", "steps"];
const SETTING_KEYS = ["conntrackCleanup", "proxyDelay", "policyDelay"];
const STEP_KEYS = ["at", "after", "about", "expect"];

/** Gives the text of a file that a scenario names, relative to the scenario. May throw UserError. */
export type ReadFile = (path: string) => InputText;

/**
 * Reads a scenario file (docs/scenarios.md). `read` gives the manifests that it applies by name. Throws UserError, or
 * UserErrors with every mistake.
 */
export function parseScenario({ file, text }: InputText, read?: ReadFile): Scenario {
  const source = new SourceText(file, text);
  const reader = new FieldReader(source);
  const documents = parseDocuments(source);
  const [top] = documents;
  if (documents.length !== 1 || !isMapping(top))
    throw new UserError("SCENARIO_SYNTAX", "a scenario is one mapping with a list of steps", {
      ...reader.details([]),
      help: 'begin it with "scenario: NAME"',
    });
  reader.mapping(top, [], "a scenario", TOP_KEYS);
  const name = reader.text(top["scenario"], ["scenario"], "the scenario's name");
  const about = reader.optionalText(top["about"], ["about"], '"about"');
  const worlds = readWorlds(reader, top["world"]);
  const seed =
    top["seed"] === undefined
      ? undefined
      : reader.whole(top["seed"], ["seed"], '"seed"', [0, 2 ** 32 - 1]);
  const settings = readSettings(reader, top["settings"]);
  const steps = readSteps(reader, top["steps"], read);
  throwCollected(reader.errors);
  return { name: name ?? "", about: (about ?? "").trim(), file, worlds, seed, settings, steps };
}

function readWorlds(reader: FieldReader, value: unknown): readonly string[] {
  if (value === undefined) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.flatMap((one) => reader.text(one, ["world"], '"world"') ?? []);
}

function readSettings(reader: FieldReader, value: unknown): ScenarioSettings {
  const none = {
    conntrackCleanup: true,
    proxyDelay: microseconds(0),
    policyDelay: microseconds(0),
  };
  if (value === undefined) return none;
  const given = reader.mapping(value, ["settings"], '"settings"', SETTING_KEYS) ?? {};
  const time = (key: "proxyDelay" | "policyDelay"): ScenarioSettings[typeof key] | undefined =>
    given[key] === undefined
      ? undefined
      : reader.duration(given[key], ["settings", key], `"${key}"`);
  const cleanup = given["conntrackCleanup"];
  return {
    conntrackCleanup:
      cleanup === undefined
        ? true
        : (reader.flag(cleanup, ["settings", "conntrackCleanup"], '"conntrackCleanup"') ?? true),
    proxyDelay: time("proxyDelay") ?? none.proxyDelay,
    policyDelay: time("policyDelay") ?? none.policyDelay,
  };
}

function readSteps(
  reader: FieldReader,
  value: unknown,
  read: ReadFile | undefined,
): readonly ScenarioStep[] {
  if (!Array.isArray(value) || value.length === 0) {
    reader.missing(value, ["steps"], '"steps"', "a list of steps");
    return [];
  }
  if (value.length > STEPS_LIMIT) {
    reader.fail(["steps"], `the scenario has ${value.length} steps, more than ${STEPS_LIMIT}`);
    return [];
  }
  const actions = new ActionReader(reader, read);
  return value.flatMap((step: unknown, index) => readStep(actions, step, ["steps", index]) ?? []);
}

/** One step: when, what, and what must come of it. */
function readStep(
  actions: ActionReader,
  value: unknown,
  path: FieldPath,
): ScenarioStep | undefined {
  const { reader } = actions;
  const step = reader.mapping(value, path, "a step", [...STEP_KEYS, ...ActionReader.kinds]);
  if (step === undefined) return undefined;
  const named = ActionReader.kinds.filter((kind) => step[kind] !== undefined);
  const [kind, second] = named;
  if (kind === undefined)
    return reader.fail(
      path,
      "the step does nothing",
      `it is one of ${ActionReader.kinds.join(", ")}`,
    );
  if (second !== undefined)
    return reader.fail(
      [...path, second],
      `one step does one thing, this one ${named.join(" and ")}`,
      "make it two steps",
      "key",
    );
  const action = actions.read(kind, step[kind], [...path, kind]);
  const time = (key: "at" | "after"): ScenarioStep["at"] =>
    step[key] === undefined ? undefined : reader.duration(step[key], [...path, key], `"${key}"`);
  if (step["at"] !== undefined && step["after"] !== undefined)
    reader.fail([...path, "after"], 'a step has either "at" or "after"', undefined, "key");
  const expect = readExpectation(reader, step["expect"], [...path, "expect"], kind);
  const about = reader.optionalText(step["about"], [...path, "about"], '"about"');
  if (action === undefined) return undefined;
  return {
    action,
    at: time("at"),
    after: time("after"),
    about: about ?? "",
    expect,
    details: reader.details(path),
    detailsOf: (...inside) => reader.details([...path, kind, ...inside]),
  };
}
