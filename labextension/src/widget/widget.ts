/** The picture as an ipywidget: `jupyter_flows.widget.FlowDag` in the kernel. */

import { DOMWidgetModel, DOMWidgetView } from '@jupyter-widgets/base';
import type { JSONObject } from '@lumino/coreutils';

import * as packageJson from '../../package.json';
import { readStates } from '../dag/model';
import { FlowPicture } from './picture';

const MODULE_NAME = packageJson.name;
const MODULE_VERSION = packageJson.version;

const TRAITS = ['nodes', 'edges', 'title', 'run', 'states'];

export class FlowDagModel extends DOMWidgetModel {
  override defaults(): Backbone.ObjectHash {
    return {
      ...super.defaults(),
      _model_name: 'FlowDagModel',
      _model_module: MODULE_NAME,
      _model_module_version: `^${MODULE_VERSION}`,
      _view_name: 'FlowDagView',
      _view_module: MODULE_NAME,
      _view_module_version: `^${MODULE_VERSION}`,
      nodes: [],
      edges: [],
      states: {},
      title: '',
      selected: '',
      run: {}
    };
  }

  override initialize(attributes: Backbone.ObjectHash, options: Parameters<DOMWidgetModel['initialize']>[1]): void {
    super.initialize(attributes, options);
    // Differences are kept in the model too, so that a view made later starts with them.
    this.on('msg:custom', (content: JSONObject) => {
      if (content['kind'] === 'states') {
        const states = readStates(content['states']);
        this.set('states', { ...(this.get('states') as object), ...states }, { silent: true });
        this.trigger('flows:states', states);
      }
    });
  }
}

export class FlowDagView extends DOMWidgetView {
  override render(): void {
    super.render();
    const picture = new FlowPicture(this.el);
    this._picture = picture;
    picture.view.onSelect = id => {
      this.model.set('selected', id ?? '');
      this.touch();
    };
    const update = (): void => {
      picture.update(Object.fromEntries(TRAITS.map(name => [name, this.model.get(name) as unknown])));
    };
    update();
    this.listenTo(this.model, TRAITS.map(name => `change:${name}`).join(' '), update);
    this.listenTo(this.model, 'flows:states', (states: ReturnType<typeof readStates>) =>
      picture.view.setStates(states)
    );
    const select = (): void => picture.view.select((this.model.get('selected') as string) || null);
    select();
    this.listenTo(this.model, 'change:selected', select);
  }

  override remove(): void {
    this._picture?.dispose();
    this._picture = null;
    super.remove();
  }

  private _picture: FlowPicture | null = null;
}
