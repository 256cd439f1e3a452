/** Where a file of the agent's machine is in the directory that Jupyter shows. */

/**
 * Return the path below *root*, or null. Jupyter tells a root in a home as `~/…`; then any home's tail fits,
 * and whoever opens it finds out whether the file is there.
 */
export function relativeTo(root: string, location: string): string | null {
  const path = location.replace(/\\/g, '/');
  const base = root.replace(/\\/g, '/').replace(/\/+$/, '');
  if (!/^(\/|[A-Za-z]:\/)/.test(path) || path.split('/').includes('..')) {
    return null;
  }
  if (base.startsWith('~')) {
    const tail = base.slice(1);
    const home = /^(?:[A-Za-z]:)?(?:\/root|\/(?:home|Users)\/[^/]+)/.exec(path)?.[0];
    return home !== undefined && path.startsWith(`${home}${tail}/`) ? path.slice(home.length + tail.length + 1) : null;
  }
  return path.startsWith(`${base}/`) ? path.slice(base.length + 1) : null;
}
