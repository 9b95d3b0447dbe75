// Loads the program's files with the bytecode that V8 kept of them, which saves a quarter of a short run: compiling is
// most of what a start costs. docs/decisions/0008-bytecode-is-kept.md says where it is kept and how to switch it off.
const fs = require("node:fs");
const { homedir } = require("node:os");
const { basename, dirname, join } = require("node:path");
const { pathToFileURL } = require("node:url");
const { constants, Script } = require("node:vm");

const program = join(__dirname, "../dist/program");
const loaded = new Map();
let list;
let kept;

/** Runs the program's first file and gives what it exports; what the run compiled is kept for the next of its kind. */
function load() {
  list = JSON.parse(fs.readFileSync(join(program, "program.json"), "utf8"));
  kept = keptFolder();
  if (kept !== undefined) process.once("exit", keep);
  return chunk(list.main);
}

/** The exports of one file of the program, which runs once. A file that must be a module comes as a promise. */
function chunk(name) {
  const twin = list.modules[name];
  if (twin !== undefined) return import(pathToFileURL(join(program, twin)).href);
  // The build leaves nothing but ASCII in them.
  return run(join(program, name), name, "latin1");
}

/** The same for a file of a package that is CommonJS throughout. */
function packaged(filename) {
  const { size, mtimeMs } = fs.statSync(filename);
  return run(filename, `${basename(filename)}-${size}-${Math.trunc(mtimeMs)}`, "utf8");
}

function run(filename, name, encoding) {
  const known = loaded.get(filename);
  if (known !== undefined) return known.module.exports;
  const cachedData = kept === undefined ? undefined : readIfThere(join(kept, name));
  const source = fs.readFileSync(filename, encoding);
  const script = new Script(
    `(function (exports, require, module, __filename, __dirname) {${source}\n})`,
    { filename, cachedData, importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER },
  );
  const module = { exports: {} };
  loaded.set(filename, { module, name, script, fresh: script.cachedDataRejected !== false });
  const folder = dirname(filename);
  const inside = (id) => {
    if (id.startsWith("./"))
      return folder === program ? chunk(id.slice(2)) : packaged(require.resolve(join(folder, id)));
    if (list.packages[id] !== undefined) return packaged(find(id, list.packages[id]));
    // Commander starts other programs for commands that we have not; reading this takes a hundredth of a trace.
    return id === "node:child_process" ? late(id) : require(id);
  };
  script.runInThisContext()(module.exports, inside, module, filename, folder);
  return module.exports;
}

/** A module of Node that is read when something of it is asked for. */
function late(id) {
  return new Proxy({}, { get: (_, name) => require(id)[name] });
}

/** Where a package's file is: where the build saw it, which takes no reading of package.json, or as Node finds it. */
function find(id, file) {
  for (const folder of require.resolve.paths(id)) {
    const path = join(folder, id, file);
    if (fs.existsSync(path)) return path;
  }
  return require.resolve(id);
}

/** Writes the bytecode of what this run compiled, when a file had none that fits. The next run does without if it fails. */
function keep() {
  const files = [...loaded.values()];
  if (!files.some(({ fresh }) => fresh)) return;
  try {
    const names = files.map(({ name }) => name);
    for (const name of fs.readdirSync(kept))
      if (!names.includes(name)) fs.rmSync(join(kept, name), { force: true });
    for (const { name, script } of files) write(join(kept, name), script.createCachedData());
  } catch {
    // A full or read-only disk.
  }
}

/** Whole or not at all, also when two runs end at once. */
function write(path, content) {
  const part = `${path}.${process.pid}`;
  fs.writeFileSync(part, content, { mode: 0o600 });
  fs.renameSync(part, path);
}

/**
 * A folder that belongs to the user alone, for this version of Node and this command, which has functions of its own;
 * undefined where there shall or can be none.
 */
function keptFolder() {
  const { HOPWISE_CACHE, XDG_CACHE_HOME, NODE_DISABLE_COMPILE_CACHE } = process.env;
  if (HOPWISE_CACHE === "off" || NODE_DISABLE_COMPILE_CACHE) return undefined;
  const base = HOPWISE_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "hopwise");
  const command = list.commands.includes(process.argv[2]) ? process.argv[2] : "other";
  const folder = join(base, `code-${process.version}-${process.arch}`, command);
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = fs.statSync(folder);
    // Bytecode is run as it is: nobody else may have put it there.
    const ours = process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0);
    return ours ? folder : undefined;
  } catch {
    return undefined;
  }
}

function readIfThere(path) {
  try {
    return fs.readFileSync(path);
  } catch {
    return undefined;
  }
}

module.exports = { chunk, load };
