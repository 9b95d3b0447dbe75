/** The texts a world holds, by path: zone files, hosts files, imported Corefile parts. Nothing else can be read. */
export type Files = ReadonlyMap<string, string>;

/** The path that `path` means inside `from`'s folder. `.` and `..` are followed. */
export function resolvePath(from: string, path: string): string {
  const absolute = path.startsWith("/");
  const folder = from.includes("/") ? from.slice(0, from.lastIndexOf("/") + 1) : "";
  return cleanPath(absolute ? path : folder + path);
}

export function joinPath(folder: string, path: string): string {
  return path.startsWith("/") || folder === "" ? cleanPath(path) : cleanPath(`${folder}/${path}`);
}

export function isDirectory(files: Files, path: string): boolean {
  if (files.has(path)) return false;
  const prefix = path.endsWith("/") ? path : `${path}/`;
  for (const name of files.keys()) if (name.startsWith(prefix)) return true;
  return false;
}

/** The files that a glob pattern with `*` or `?` names, in lexical order; a wildcard does not match a slash. */
export function matchFiles(files: Files, pattern: string): string[] {
  if (!/[*?]/.test(pattern)) return files.has(pattern) ? [pattern] : [];
  const source = pattern
    .split("")
    .map((char) =>
      char === "*" ? "[^/]*" : char === "?" ? "[^/]" : char.replace(/[\\^$.|+()[\]{}]/, "\\$&"),
    )
    .join("");
  const regex = new RegExp(`^${source}$`);
  return [...files.keys()].filter((name) => regex.test(name)).toSorted();
}

function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (part !== ".." || !path.startsWith("/")) parts.push(part);
  }
  return (path.startsWith("/") ? "/" : "") + parts.join("/");
}
