import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";

/** One text of a world and what it is called in messages. */
export interface SourceFile {
  readonly file: string;
  readonly text: string;
}

/** What a world may bring. Each limit is named when it is hit. */
const limits = { files: 10_000, fileSize: 400 * 1024 * 1024 };

/**
 * Reads everything that `-w` names: a file, a folder (its files by name, folders below it too), `-` for standard input,
 * or `demo:NAME`. Throws a UserError for what cannot be read.
 */
function readWorld(path: string): readonly SourceFile[] {
  if (path.startsWith("demo:")) return readDemo(path);
  if (path === "-") return [{ file: "(stdin)", text: readFileSync(0, "utf8") }];
  if (!existsSync(path))
    throw new UserError("WORLD_MISSING", `no file or folder "${path}"`, {
      help: "name a file, a folder, - for standard input, or demo:shop",
    });
  if (!statSync(path).isDirectory()) return [readText(path, path)];
  const files = listFiles(path).filter((file) =>
    /\.(ya?ml|json|rules|txt|conf|conflist|save)$|Corefile$/.test(file),
  );
  if (files.length === 0)
    throw new UserError("WORLD_EMPTY", `the folder "${path}" has no file that hopwise reads`, {
      help: "manifests end in .yaml, .yml or .json; rule dumps in .rules, .save or .txt",
    });
  return files.map((file) => readText(file, file));
}

/** All worlds of a command line, merged left to right. */
export function readWorlds(paths: readonly string[]): readonly SourceFile[] {
  return paths.flatMap((path) => [...readWorld(path)]);
}

/** One file, or standard input. */
export function readOne(path: string): SourceFile {
  if (path === "-") return { file: "(stdin)", text: readFileSync(0, "utf8") };
  if (!existsSync(path)) throw new UserError("FILE_MISSING", `no file "${path}"`);
  return readText(path, path);
}

/** A scenario and the folder that its own names are relative to: a file, or one that ships as `demo:NAME`. */
export function readScenario(path: string): SourceFile & { readonly folder: string } {
  if (!path.startsWith("demo:")) return { ...readOne(path), folder: dirname(path) };
  const folder = fileURLToPath(new URL("../../topologies/scenarios", import.meta.url));
  const names = readdirSync(folder)
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => `demo:${file.slice(0, -".yaml".length)}`)
    .toSorted();
  if (!names.includes(path)) {
    const near = nearest(path, names);
    throw new UserError("SCENARIO_MISSING", `no scenario "${path}"`, {
      help: near === undefined ? `there are ${names.join(", ")}` : `did you mean ${near}?`,
    });
  }
  const file = `${path.slice("demo:".length)}.yaml`;
  return { ...readText(join(folder, file), file), folder };
}

function demoFolder(): string {
  return fileURLToPath(new URL("../../topologies", import.meta.url));
}

/** The worlds that ship: `demo:shop`. */
export function demoNames(): readonly string[] {
  return readdirSync(demoFolder(), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !["labs", "scenarios"].includes(entry.name))
    .map((entry) => `demo:${entry.name}`);
}

/** One file of bytes, or standard input. */
export function readBytes(path: string): { readonly file: string; readonly bytes: Uint8Array } {
  if (path === "-") return { file: "(stdin)", bytes: readFileSync(0) };
  if (!existsSync(path)) throw new UserError("FILE_MISSING", `no file "${path}"`);
  return { file: path, bytes: readLimited(path, path, (name) => readFileSync(name)) };
}

function readDemo(name: string): readonly SourceFile[] {
  const folder = demoFolder();
  const names = demoNames();
  if (!names.includes(name)) {
    const near = nearest(name, names);
    throw new UserError("WORLD_MISSING", `no world "${name}"`, {
      help: near === undefined ? `there are ${names.join(", ")}` : `did you mean ${near}?`,
    });
  }
  const base = join(folder, name.slice("demo:".length));
  return listFiles(base).map((file) => readText(file, relative(base, file)));
}

function listFiles(folder: string): readonly string[] {
  const found: string[] = [];
  const visit = (path: string): void => {
    const entries = readdirSync(path, { withFileTypes: true }).toSorted((a, b) =>
      a.name < b.name ? -1 : 1,
    );
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      const below = join(path, entry.name);
      if (entry.isDirectory()) visit(below);
      else if (entry.isFile()) found.push(below);
      if (found.length > limits.files)
        throw new UserError(
          "LIMIT_FILES",
          `the folder "${folder}" has more than ${limits.files} files`,
        );
    }
  };
  visit(folder);
  return found;
}

function readText(path: string, name: string): SourceFile {
  return { file: name, text: readLimited(path, name, (file) => readFileSync(file, "utf8")) };
}

function readLimited<T>(path: string, name: string, read: (path: string) => T): T {
  const { size } = statSync(path);
  if (size > limits.fileSize)
    throw new UserError(
      "LIMIT_FILE_SIZE",
      `"${name}" has ${size} bytes, more than ${limits.fileSize}`,
    );
  try {
    return read(path);
  } catch (error) {
    throw new UserError(
      "FILE_UNREADABLE",
      `"${name}" cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
