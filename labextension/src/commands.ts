/** Every action of the extension by its id; toolbar, palette and panel only refer to these. */

export const CommandIDs = {
  openPanel: 'flows:open-panel',
  openRun: 'flows:open-run',
  registerNotebook: 'flows:register-notebook',
  revealCell: 'flows:reveal-cell',
  runFlow: 'flows:run-flow'
} as const;

/** One text argument, as a JSON schema that JupyterLab shows to whoever calls a command. */
export const textArgument = (name: string, description: string, required: boolean): { args: object } => ({
  args: {
    type: 'object',
    properties: { [name]: { type: 'string', description } },
    ...(required ? { required: [name] } : {})
  }
});
