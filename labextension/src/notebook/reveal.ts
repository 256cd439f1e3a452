/** Finding a cell among the open notebooks. */

import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';

/** Make the cell active and bring it into sight; false: no open notebook has it. */
export async function revealCell(
  tracker: INotebookTracker,
  activate: (panel: NotebookPanel) => void,
  cellId: string
): Promise<boolean> {
  const panels: NotebookPanel[] = [];
  tracker.forEach(panel => panels.push(panel));
  panels.sort((a, b) => Number(b === tracker.currentWidget) - Number(a === tracker.currentWidget));
  for (const panel of panels) {
    const notebook = panel.content;
    const at = notebook.widgets.findIndex(cell => cell.model.id === cellId);
    if (at >= 0) {
      activate(panel);
      notebook.deselectAll();
      notebook.activeCellIndex = at;
      await notebook.scrollToItem(at, 'smart');
      return true;
    }
  }
  return false;
}
