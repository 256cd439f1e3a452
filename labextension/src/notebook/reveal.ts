/** Finding a cell, in one notebook or among the open ones. */

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
      await bringToSight(panel, at);
      return true;
    }
  }
  return false;
}

/** Make the cell of that id active and bring it into sight; without such an id the one at that place. */
export async function showCell(panel: NotebookPanel, cellId: string, place: number): Promise<void> {
  const at = panel.content.widgets.findIndex(cell => cell.model.id === cellId);
  await bringToSight(panel, at >= 0 ? at : Math.min(place, panel.content.widgets.length - 1));
}

async function bringToSight(panel: NotebookPanel, at: number): Promise<void> {
  const notebook = panel.content;
  notebook.deselectAll();
  notebook.activeCellIndex = at;
  await notebook.scrollToItem(at, 'smart');
}
