import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { UserError } from "../base/errors.js";
import { loadWorld, type World } from "../lab/world.js";
import type { TuiCommandOptions } from "./commands/tui.js";
import { demoNames, readBytes, readOne, readWorlds } from "./files.js";
import { worldIsNamed, worldPaths } from "./options.js";
import type { Streams } from "./streams.js";

/** What the linear mode reads when nothing is said: the main job, on the demo world. */
const DEFAULT_WORLD = "demo:shop";
const DEFAULT_TRACE = "shop/web-0 http://api.shop";

/** `hopwise tui`: opens the screen, or the linear mode. Gives the exit code. */
export async function tuiCommand(options: TuiCommandOptions, streams: Streams): Promise<number> {
  const { env } = process;
  const plain =
    options.plain === true ||
    isOn(env["HOPWISE_PLAIN"]) ||
    env["INK_SCREEN_READER"] === "true" ||
    env["TERM"] === "dumb";
  if (!plain && !(process.stdin.isTTY && process.stdout.isTTY)) {
    throw new UserError("TUI_TERMINAL", "the screen needs a terminal", {
      help: "hopwise trace SRC DST prints the same steps anywhere",
    });
  }
  const addresses = options.addr ?? [];
  const openWorld = (paths: readonly string[]): World =>
    loadWorld(readWorlds(paths), paths.join(" "), { addresses });
  const named = options.world !== undefined || worldIsNamed();
  const paths = named ? worldPaths(options.world) : [DEFAULT_WORLD];
  if (plain) {
    const trace = options.trace ?? (named ? undefined : DEFAULT_TRACE);
    return await linear(openWorld(paths), trace, streams);
  }
  // Without a world one is chosen on the screen; a trace needs one at once.
  const world =
    named || options.trace !== undefined || options.replay !== undefined
      ? openWorld(paths)
      : undefined;
  return await screen(world, openWorld, options, streams);
}

async function screen(
  world: World | undefined,
  openWorld: (paths: readonly string[]) => World,
  options: TuiCommandOptions,
  streams: Streams,
): Promise<number> {
  const { env, stdin, stdout } = process;
  // React's development build keeps a record of every frame. It is read when React is loaded, which is now.
  env["NODE_ENV"] = "production";
  const [{ runTui }, { readKeymap }] = await Promise.all([
    import("../tui/run.js"),
    import("../tui/keymap.js"),
  ]);
  const keymap = join(env["XDG_CONFIG_HOME"] || join(homedir(), ".config"), "hopwise", "keys.yaml");
  return await runTui({
    stdin,
    stdout,
    err: streams.err,
    world,
    trace: options.trace,
    replay: replayWords(options),
    outside: { openWorld, readBytes },
    demos: demoNames(),
    keys: readKeymap(existsSync(keymap) ? readOne(keymap) : { file: keymap, text: "" }),
    palette: {
      colour: options.color === "always" || (options.color === "auto" && !isOn(env["NO_COLOR"])),
      ascii: options.ascii === true || !isUtf8(env),
    },
    mouse: options.mouse === true,
    cacheDir: join(env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "hopwise"),
    editor: env["VISUAL"] ?? env["EDITOR"] ?? "vi",
    crash: env["HOPWISE_CRASH"] === "1",
  });
}

async function linear(world: World, trace: string | undefined, streams: Streams): Promise<number> {
  if (trace === undefined)
    throw new UserError("TUI_PLAIN", "the linear mode reads a trace", {
      help: 'add one: --trace "SRC DST"',
    });
  const [{ runLinear }, { traceWords }, { Sources }] = await Promise.all([
    import("../tui/linear.js"),
    import("../tui/requests.js"),
    import("../tui/sources.js"),
  ]);
  const model = traceWords({ name: world.name, world, sources: new Sources(world) }, trace);
  return await runLinear(model, { stdin: process.stdin, out: streams.out });
}

function replayWords({ replay, at = [] }: TuiCommandOptions): string | undefined {
  return replay === undefined
    ? undefined
    : [replay, ...at.flatMap((point) => ["--at", point])].join(" ");
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && value !== "";
}

/** A locale that says nothing is taken for UTF-8, as every terminal of today is. */
function isUtf8(env: NodeJS.ProcessEnv): boolean {
  const locale = env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"] || "";
  return locale === "" || /utf-?8/i.test(locale);
}
