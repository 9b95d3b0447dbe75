import { UserError, UserErrors } from "../../base/errors.js";
import type { ServerBlock } from "./corefile.js";
import { Dispenser } from "./dispenser.js";
import { joinPath, type Files } from "./files.js";
import type { Token } from "./lexer.js";
import { normalizeZone } from "./names.js";
import type { Handler } from "./plugin.js";

/** What the plugins of one server block share while they are set up. */
export interface BlockConfig {
  readonly block: ServerBlock;
  /** The zones of the block's keys. */
  readonly zones: readonly string[];
  /** `root`. */
  root: string;
  /** `bind`. */
  readonly bind: string[];
  readonly handlers: Handler[];
  /** Checks that need all plugins of the block. */
  readonly afterSetup: (() => void)[];
  readonly files: Files;
  readonly env: ReadonlyMap<string, string>;
  log(line: string): void;
  /** What plugins tell each other, by plugin: `rewrite` the EDNS codes it sets. */
  readonly ednsCodes: Set<number>;
}

/** The tokens of one directive in one block, and the block. Mirrors caddy.Controller. */
export class Controller extends Dispenser {
  readonly config: BlockConfig;
  readonly directive: string;

  constructor(file: string, directive: string, tokens: readonly Token[], config: BlockConfig) {
    super(file, [...tokens]);
    this.directive = directive;
    this.config = config;
  }

  /** The zones named, or the block's when there are none. Text that is no zone is left out. */
  zones(args: readonly string[]): readonly string[] {
    return args.length === 0 ? this.config.zones : args.flatMap(normalizeZone);
  }

  /** Zones after `fallthrough`: all of them when none is named. */
  fallthrough(args: readonly string[]): readonly string[] {
    return args.length === 0 ? ["."] : args.flatMap(normalizeZone);
  }

  path(path: string): string {
    return joinPath(this.config.root, path);
  }

  readFile(path: string): string | undefined {
    return this.config.files.get(this.path(path));
  }

  once(): UserError {
    return this.plain("this plugin can only be used once per Server Block");
  }
}

/** The error with `plugin/NAME: ` before its text, as plugin.Error() writes it. */
export function pluginError(name: string, error: unknown): unknown {
  if (error instanceof UserErrors || !(error instanceof UserError)) return error;
  return new UserError(error.code, `plugin/${name}: ${error.message}`, error.details);
}
