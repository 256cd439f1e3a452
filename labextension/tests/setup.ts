// jsdom lacks these; JupyterLab's packages touch them when they are imported.
class Observer {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
}
const bare = globalThis as unknown as Record<string, unknown>;
bare['DragEvent'] ??= class extends Event {};
bare['ResizeObserver'] ??= Observer;
bare['matchMedia'] ??= () => ({ matches: false, addEventListener() {}, removeEventListener() {} });
Object.assign(document, { queryCommandSupported: () => false });
