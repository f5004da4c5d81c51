import { useParams } from 'react-router'
import { Head } from '../base/parts'
import { useText } from '../text'

export default function Rehearsals() {
  const { sale = '' } = useParams()
  const { t } = useText()
  return <Head title={t('rehearse')} note={sale} />
}
