/** The mark of flows: three boxes, two arrows' worth of lines. */
import { LabIcon } from '@jupyterlab/ui-components';

import flowsSvg from '../../style/flows.svg';
import registerSvg from '../../style/register.svg';

export const flowsIcon = new LabIcon({ name: 'jupyter-flows:flows', svgstr: flowsSvg });
export const registerIcon = new LabIcon({ name: 'jupyter-flows:register', svgstr: registerSvg });
